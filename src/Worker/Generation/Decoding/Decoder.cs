using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Runs a decoder on rows of a key/value cache: several tokens of one row, or one token of each of the first rows.
/// GroupQueryAttention cannot do both in one run: "batch_size must be 1 when sequence_length > 1 and past context is
/// given". Not thread-safe.
/// </summary>
/// <param name="session">The session of the model.</param>
/// <param name="layout">The inputs and outputs.</param>
/// <param name="rows">The cache.</param>
internal sealed class Decoder(ModelSession session, DecoderLayout layout, IKvRows rows) : IDisposable
{
    /// <summary>
    /// The mask of a run of several rows is extended in steps, so that the shapes of consecutive runs are equal.
    /// </summary>
    private const int MaskStep = 64;

    /// <summary>
    /// Largest size of the logits of a run in bytes. It limits the tokens of a run, because models return the logits
    /// of all of them.
    /// </summary>
    private const long MaxLogitsBytes = 64L << 20;

    private long[] numbers = [];
    private float[] logits = [];
    private OrtValue? output;
    private int outputTokens;

    /// <summary>The maximum number of tokens of one run.</summary>
    public int MaxTokens => (int)Math.Clamp(MaxLogitsBytes / (4L * layout.Vocabulary), 1, int.MaxValue);

    /// <summary>Reads tokens of one row, and returns the logits after the last one. Valid until the next run.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="row">The row.</param>
    /// <param name="past">Number of tokens that the row contains.</param>
    /// <param name="tokens">The next tokens, at most <see cref="MaxTokens"/>.</param>
    public ReadOnlySpan<float> Read(RunOptions options, int row, int past, ReadOnlySpan<int> tokens)
    {
        var (count, width) = (tokens.Length, past + tokens.Length);
        var (ids, positions) = Numbers(count, width, out var mask);
        for (var i = 0; i < count; i++) (ids.Span[i], positions.Span[i]) = (tokens[i], past + i);
        mask.Span.Fill(1);
        Run(options, row, 1, ids, mask, positions, [1, count], [1, width]);
        return LogitsOf(count - 1);
    }

    /// <summary>
    /// Reads one token of each of the first rows. <see cref="LogitsOf"/> returns the logits until the next run.
    /// </summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="past">Number of tokens that each row contains.</param>
    /// <param name="tokens">The next token of each row.</param>
    public void ReadRows(RunOptions options, ReadOnlySpan<int> past, ReadOnlySpan<int> tokens)
    {
        var longest = 0;
        foreach (var length in past) longest = Math.Max(longest, length + 1);
        var count = tokens.Length;
        var width = Math.Min(rows.Length, (longest + MaskStep - 1) / MaskStep * MaskStep);
        var (ids, positions) = Numbers(count, count * width, out var mask);
        for (var row = 0; row < count; row++)
        {
            (ids.Span[row], positions.Span[row]) = (tokens[row], past[row]);
            var of = mask.Span.Slice(row * width, width);
            of[..(past[row] + 1)].Fill(1);
            of[(past[row] + 1)..].Clear();
        }

        Run(options, 0, count, ids, mask, positions, [count, 1], [count, width]);
    }

    /// <summary>Returns the logits of the last run after one of its tokens.</summary>
    /// <param name="index">The index of the token in its row, or of the row if there is one token for each.</param>
    public ReadOnlySpan<float> LogitsOf(int index)
    {
        var (at, count) = (index * layout.Vocabulary, layout.Vocabulary);
        if (layout.Logits.Element == TensorElementType.Float)
            return output!.GetTensorDataAsSpan<float>().Slice(at, count);
        if (logits.Length == 0) logits = new float[count];
        var halves = MemoryMarshal.Cast<Float16, Half>(output!.GetTensorDataAsSpan<Float16>().Slice(at, count));
        for (var i = 0; i < count; i++) logits[i] = (float)halves[i];
        return logits;
    }

    public void Dispose()
    {
        output?.Dispose();
        output = null;
    }

    private void Run(
        RunOptions options,
        int firstRow,
        int rowCount,
        Memory<long> ids,
        Memory<long> mask,
        Memory<long> positions,
        long[] idsShape,
        long[] maskShape)
    {
        var host = OrtMemoryInfo.DefaultInstance;
        using var idsValue = OrtValue.CreateTensorValueFromMemory(host, ids, idsShape);
        using var maskValue = OrtValue.CreateTensorValueFromMemory(host, mask, maskShape);
        using var positionsValue =
            layout.HasPositions ? OrtValue.CreateTensorValueFromMemory(host, positions, idsShape) : null;
        var cache = rows.View(firstRow, rowCount);
        OrtValue[] inputs = positionsValue is null
            ? [idsValue, maskValue, .. cache]
            : [idsValue, maskValue, positionsValue, .. cache];
        session.Run(options, layout.InputNames, inputs, layout.OutputNames, [Output(idsShape), .. cache]);
    }

    /// <summary>Returns a value for the logits. It is kept for further runs of the same shape.</summary>
    private OrtValue Output(long[] idsShape)
    {
        var tokens = (int)(idsShape[0] * idsShape[1]);
        if (output is null || tokens != outputTokens || output.GetTensorTypeAndShape().Shape[0] != idsShape[0])
        {
            output?.Dispose();
            output = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, layout.Logits.Element,
                [.. idsShape, layout.Vocabulary]);
            outputTokens = tokens;
        }

        return output;
    }

    /// <summary>Returns memory for ids, mask and positions; it is reused by the next run.</summary>
    private (Memory<long> Ids, Memory<long> Positions) Numbers(int count, int maskCount, out Memory<long> mask)
    {
        var needed = (2 * count) + maskCount;
        if (numbers.Length < needed)
            numbers = GC.AllocateUninitializedArray<long>(Math.Max(needed, 2 * numbers.Length));
        mask = numbers.AsMemory(2 * count, maskCount);
        return (numbers.AsMemory(0, count), numbers.AsMemory(count, count));
    }
}
