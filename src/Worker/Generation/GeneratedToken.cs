using System.Text.Json.Serialization;

namespace Sluice.Worker.Generation;

/// <summary>
/// One generated token in the form of the Open Inference Protocol's text generation (generate_rest.yaml, Token).
/// </summary>
/// <param name="Id">Index of the token in the model's vocabulary.</param>
/// <param name="Text">Text of the token; empty if the token ends the text.</param>
/// <param name="Logprob">
/// Natural logarithm of the probability that the model assigns to the token, before temperature, top_k and top_p.
/// </param>
/// <param name="Special">Whether the token ends the text. Such a token is not part of the text.</param>
public sealed record GeneratedToken(int Id, string Text, float Logprob, bool Special)
{
    /// <summary>The most likely tokens with their log probabilities, the most likely one first.</summary>
    [JsonIgnore]
    public IReadOnlyList<(int Id, float Logprob)> Top { get; init; } = [];

    /// <summary>
    /// Replaces a logarithm that is not finite, which JSON cannot represent. OpenAI's API uses the same value for
    /// very unlikely tokens.
    /// </summary>
    private const float Unknown = -9999;

    /// <summary>Creates the details of a token.</summary>
    /// <param name="token">The token.</param>
    /// <param name="text">The text of the token.</param>
    /// <param name="logits">The logits from which the token was sampled.</param>
    /// <param name="ends">Whether the token ends the text.</param>
    /// <param name="most">Number of most likely tokens to add.</param>
    public static GeneratedToken Create(int token, string text, ReadOnlySpan<float> logits, bool ends, int most = 0)
    {
        var top = float.NegativeInfinity;
        foreach (var logit in logits) top = Math.Max(top, logit);
        double sum = 0;
        foreach (var logit in logits) sum += Math.Exp(logit - top);
        var log = Math.Log(sum);
        var likely = new List<(int Id, float Logprob)>(most);
        foreach (var id in MostLikely(logits, most)) likely.Add((id, LogProbability(logits[id])));
        return new GeneratedToken(token, ends ? "" : text, LogProbability(logits[token]), ends) { Top = likely };

        // The logarithm of the softmax probability.
        float LogProbability(float logit) =>
            (float)(logit - top - log) is var value && float.IsFinite(value) ? value : Unknown;
    }

    /// <summary>Returns the tokens with the largest logits. Of equal ones, the first is ranked higher.</summary>
    private static List<int> MostLikely(ReadOnlySpan<float> logits, int count)
    {
        if (count == 0) return [];
        var most = new PriorityQueue<int, (float Logit, int Before)>();
        for (var i = 0; i < logits.Length; i++)
            if (most.Count < count) most.Enqueue(i, (logits[i], -i));
            else if (most.TryPeek(out _, out var least) && logits[i] > least.Logit)
                most.EnqueueDequeue(i, (logits[i], -i));
        var ids = new List<int>(count);
        while (most.TryDequeue(out var id, out _)) ids.Add(id);
        ids.Reverse();
        return ids;
    }
}
