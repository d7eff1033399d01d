using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>Reads the logits of a run as 32-bit numbers. Not thread-safe.</summary>
/// <param name="type">Element type of the logits.</param>
/// <param name="vocabulary">Number of values of the logits after one token.</param>
/// <param name="onlyLast">Whether a run returns only the logits after the last token of each row.</param>
internal sealed class RunLogits(DataType type, int vocabulary, bool onlyLast = false)
{
    /// <summary>
    /// Largest size of the logits of a run in bytes. It limits the tokens of a run, because most models return the
    /// logits of all of them.
    /// </summary>
    private const long MaxBytes = 64L << 20;

    private float[] numbers = [];

    /// <summary>The maximum number of tokens of one run.</summary>
    public int MaxTokens => onlyLast ? int.MaxValue : MaxTokensOf(vocabulary);

    /// <summary>Returns the maximum number of tokens of a run that returns the logits of all of them.</summary>
    public static int MaxTokensOf(int vocabulary) => (int)Math.Clamp(MaxBytes / (4L * vocabulary), 1, int.MaxValue);

    /// <summary>Returns the shape of the logits of a run.</summary>
    public long[] ShapeOf(long rows, long tokens) => [rows, onlyLast ? 1 : tokens, vocabulary];

    /// <summary>Returns the logits after the last token of a row.</summary>
    /// <param name="output">The output of the run.</param>
    /// <param name="row">The row of the run.</param>
    /// <param name="tokens">Number of tokens of each row in the run.</param>
    public ReadOnlySpan<float> Of(OrtValue output, int row, int tokens) =>
        Row(output, ((row + 1) * (onlyLast ? 1 : tokens)) - 1);

    /// <summary>Returns logits by their position in the output.</summary>
    public ReadOnlySpan<float> Row(OrtValue output, int row)
    {
        var at = row * vocabulary;
        if (type.Element == TensorElementType.Float)
            return output.GetTensorDataAsSpan<float>().Slice(at, vocabulary);
        if (numbers.Length == 0) numbers = new float[vocabulary];
        var halves = MemoryMarshal.Cast<Float16, Half>(output.GetTensorDataAsSpan<Float16>().Slice(at, vocabulary));
        for (var i = 0; i < vocabulary; i++) numbers[i] = (float)halves[i];
        return numbers;
    }
}
