using System.Globalization;

namespace Sluice.Worker.Generation;

/// <summary>
/// One generated token in the form of the Open Inference Protocol's text generation (generate_rest.yaml, Token).
/// </summary>
/// <param name="Id">Index of the token in the model's vocabulary.</param>
/// <param name="Text">
/// Text of the token. A byte that is not a complete character is written as <c>&lt;0xC3&gt;</c>, as SentencePiece
/// writes its byte tokens.
/// </param>
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
    /// <param name="token">The token, which is a byte.</param>
    /// <param name="logits">The logits from which the token was sampled.</param>
    /// <param name="ends">Whether the token ends the text.</param>
    public static GeneratedToken Create(int token, ReadOnlySpan<float> logits, bool ends)
    {
        var text = token < 0x80
            ? ((char)token).ToString()
            : string.Create(CultureInfo.InvariantCulture, $"<0x{token:X2}>");
        return new GeneratedToken(token, ends ? "" : text, LogProbability(token, logits), ends);
    }

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
