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
    public static GeneratedToken Create(int token, string text, ReadOnlySpan<float> logits, bool ends) =>
        new(token, ends ? "" : text, LogProbability(token, logits), ends);

    /// <summary>Returns the logarithm of the token's softmax probability.</summary>
    private static float LogProbability(int token, ReadOnlySpan<float> logits)
    {
        var top = float.NegativeInfinity;
        foreach (var logit in logits) top = Math.Max(top, logit);
        double sum = 0;
        foreach (var logit in logits) sum += Math.Exp(logit - top);
        var log = (float)(logits[token] - top - Math.Log(sum));
        return float.IsFinite(log) ? log : Unknown;
    }
}
