using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation;

/// <summary>
/// Proves that a key/value cache returns what was written. The check is needed because attention with a cache in the
/// wrong memory causes no error, only wrong tokens. Only while no text is generated.
/// </summary>
/// <param name="backEnd">The decoder and its cache.</param>
/// <param name="endOfText">The token that ends a text, or less than 0.</param>
internal sealed class CacheProof(IGenerationBackEnd backEnd, int endOfText)
{
    /// <summary>
    /// Permitted difference of logits that are computed in two ways, relative to their spread. Rounding to 16 bits
    /// causes differences of up to 0.01. A wrong cache results in completely different logits.
    /// </summary>
    private const float Tolerance = 0.05f;

    /// <summary>
    /// Compares the logits after a prompt that is read in one run with those after a prompt that is read in parts,
    /// alone and together with another sequence.
    /// </summary>
    /// <returns>Null if the cache works, else a description of the difference.</returns>
    public string? FindError()
    {
        int[] prompt = [Math.Max(0, endOfText), 1, 2, 3];
        var whole = LogitsAfter(prompt);
        var difference = 0f;
        try
        {
            backEnd.Allocate(2, prompt.Length);
            foreach (var logits in InParts(prompt))
                difference = Math.Max(difference, Difference(whole, logits));
        }
        finally
        {
            backEnd.Free();
        }

        var spread = whole.Max() - whole.Min();
        return difference <= Tolerance * spread
            ? null
            : "its key/value cache does not return the values that were written: "
                + $"logits that must be equal differ by {difference} of {spread}";
    }

    /// <summary>Returns the logits after a prompt of tokens.</summary>
    public float[] LogitsAfter(int[] prompt)
    {
        try
        {
            using var options = new RunOptions();
            backEnd.Allocate(1, prompt.Length);
            backEnd.Decoder.Read(options, 0, 0, prompt);
            return backEnd.Decoder.LogitsOf(0).ToArray();
        }
        finally
        {
            backEnd.Free();
        }
    }

    private IEnumerable<float[]> InParts(int[] prompt)
    {
        var decoder = backEnd.Decoder;
        using var options = new RunOptions();
        decoder.Read(options, 0, 0, prompt.AsSpan(..2));
        decoder.Read(options, 0, 2, prompt.AsSpan(2..3));
        decoder.Read(options, 0, 3, prompt.AsSpan(3..));
        yield return decoder.LogitsOf(0).ToArray();
        if (!decoder.ReadsSeveralRows) yield break;
        decoder.Read(options, 1, 0, prompt.AsSpan(..3));
        decoder.ReadRows(options, [2, 3], [prompt[3], prompt[3]]);
        yield return decoder.LogitsOf(1).ToArray();
        if (!decoder.ReadsMixedRows) yield break;
        decoder.ReadMixedRows(options, [0, 1], [3, 0], [1, 4], [prompt[3], .. prompt]);
        yield return decoder.LogitsOf(1).ToArray();
        decoder.ReadMixedRows(options, [0, 1], [1, 3], [3, 1], [.. prompt.AsSpan(1..), prompt[3]]);
        for (var row = 0; row < 2; row++) yield return decoder.LogitsOf(row).ToArray();
    }

    private static float Difference(float[] expected, float[] actual)
    {
        var difference = 0f;
        for (var i = 0; i < expected.Length; i++)
            difference = Math.Max(difference, Math.Abs(expected[i] - actual[i]));
        return difference;
    }
}
