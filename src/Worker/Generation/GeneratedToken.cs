using System.Globalization;

namespace Sluice.Worker.Generation;

/// <summary>
/// One generated token, as the Open Inference Protocol's text generation has it (generate_rest.yaml, Token).
/// </summary>
/// <param name="Id">Its number in the model's vocabulary.</param>
/// <param name="Text">Its text. A byte that is no character by itself is <c>&lt;0xC3&gt;</c>, as in SentencePiece's byte tokens.</param>
/// <param name="Logprob">Natural logarithm of its probability by the model alone: before temperature, top_k and top_p.</param>
/// <param name="Special">It is the end of the text, and no part of it.</param>
public sealed record GeneratedToken(int Id, string Text, float Logprob, bool Special)
{
    /// <summary>Replaces a logarithm that is not finite, which JSON cannot represent. OpenAI's API uses the same value for very unlikely tokens.</summary>
    private const float Unknown = -9999;

    /// <param name="token">A byte.</param>
    /// <param name="logits">What it was chosen from.</param>
    /// <param name="ends">It ends the text.</param>
    public static GeneratedToken Of(int token, ReadOnlySpan<float> logits, bool ends)
    {
        var text = token < 0x80 ? ((char)token).ToString() : string.Create(CultureInfo.InvariantCulture, $"<0x{token:X2}>");
        return new GeneratedToken(token, ends ? "" : text, LogProbability(token, logits), ends);
    }

    /// <summary>The logarithm of its part of the softmax.</summary>
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
