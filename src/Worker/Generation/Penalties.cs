namespace Sluice.Worker.Generation;

/// <summary>Makes tokens that occurred already less likely; with values in the other direction, more likely.</summary>
/// <param name="prompt">The tokens of the prompt.</param>
/// <param name="repetition">
/// Divides positive logits of tokens in the prompt or the generated text, and multiplies negative ones; 1: no effect
/// (Keskar et al., CTRL, 2019; as in Hugging Face and vLLM).
/// </param>
/// <param name="presence">Subtracted from the logits of tokens in the generated text (as in OpenAI's API).</param>
/// <param name="frequency">
/// Subtracted from the logits of tokens in the generated text, once for each occurrence (as in OpenAI's API).
/// </param>
public sealed class Penalties(IReadOnlyList<int> prompt, double repetition, double presence, double frequency)
    : ILogitsProcessor
{
    private readonly HashSet<int> seen = [.. prompt];
    private readonly Dictionary<int, int> counts = [];
    private int counted;

    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        for (; counted < generated.Length; counted++)
        {
            var token = generated[counted];
            seen.Add(token);
            counts[token] = counts.GetValueOrDefault(token) + 1;
        }

        if (repetition != 1)
            foreach (var token in seen)
            {
                ref var logit = ref logits[token];
                logit = (float)(logit > 0 ? logit / repetition : logit * repetition);
            }

        if (presence == 0 && frequency == 0) return;
        foreach (var (token, count) in counts) logits[token] -= (float)(presence + (frequency * count));
    }
}
