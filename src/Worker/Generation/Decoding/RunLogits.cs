using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>Reads the logits of a run as 32-bit numbers. Not thread-safe.</summary>
/// <param name="layout">The inputs and outputs.</param>
internal sealed class RunLogits(DecoderLayout layout)
{
    /// <summary>
    /// Largest size of the logits of a run in bytes. It limits the tokens of a run, because most models return the
    /// logits of all of them.
    /// </summary>
    private const long MaxBytes = 64L << 20;

    private float[] numbers = [];

    /// <summary>The maximum number of tokens of one run.</summary>
    public int MaxTokens => layout.OnlyLastLogits
        ? int.MaxValue
        : (int)Math.Clamp(MaxBytes / (4L * layout.Vocabulary), 1, int.MaxValue);

    /// <summary>Returns the shape of the logits of a run.</summary>
    public long[] ShapeOf(long rows, long tokens) => [rows, layout.OnlyLastLogits ? 1 : tokens, layout.Vocabulary];

    /// <summary>Returns the logits after the last token of a row.</summary>
    /// <param name="output">The output of the run.</param>
    /// <param name="row">The row of the run.</param>
    /// <param name="tokens">Number of tokens of each row in the run.</param>
    public ReadOnlySpan<float> Of(OrtValue output, int row, int tokens)
    {
        var of = layout.OnlyLastLogits ? 1 : tokens;
        var (at, count) = (((row + 1) * of) - 1, layout.Vocabulary);
        if (layout.Logits.Element == TensorElementType.Float)
            return output.GetTensorDataAsSpan<float>().Slice(at * count, count);
        if (numbers.Length == 0) numbers = new float[count];
        var halves = MemoryMarshal.Cast<Float16, Half>(output.GetTensorDataAsSpan<Float16>().Slice(at * count, count));
        for (var i = 0; i < count; i++) numbers[i] = (float)halves[i];
        return numbers;
    }
}
