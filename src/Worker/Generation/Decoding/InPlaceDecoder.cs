using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Runs a decoder whose attention extends the rows of the cache in place. GroupQueryAttention cannot read several
/// tokens of several rows in one run: "batch_size must be 1 when sequence_length > 1 and past context is given".
/// </summary>
/// <param name="session">The session of the model.</param>
/// <param name="layout">The inputs and outputs.</param>
/// <param name="rows">The cache.</param>
/// <param name="embeddings">Converts tokens to vectors. Null: the model has an input for the tokens.</param>
internal sealed class InPlaceDecoder(
    ModelSession session,
    DecoderLayout layout,
    IKvRows rows,
    EmbeddingModel? embeddings) : IDecoder
{
    /// <summary>
    /// The mask of a run of several rows is extended in steps, so that the shapes of consecutive runs are equal.
    /// </summary>
    private const int MaskStep = 64;

    private readonly RunLogits logits = new(layout.Logits, layout.Vocabulary, layout.OnlyLastLogits);
    private readonly RunNumbers numbers = new(layout, embeddings);
    private OrtValue? output;
    private (int Rows, int Tokens) ran;

    public int MaxTokens => logits.MaxTokens;

    public bool ReadsSeveralRows => rows.IsShared;

    public void Read(RunOptions options, int row, int past, ReadOnlySpan<int> tokens)
    {
        if (tokens.Length == 1 && past > 0) FillNext([past], tokens);
        else numbers.FillRow(past, tokens);
        Run(options, row, 1, past > 0);
    }

    public void ReadRows(RunOptions options, ReadOnlySpan<int> past, ReadOnlySpan<int> tokens)
    {
        FillNext(past, tokens);
        Run(options, 0, tokens.Length, hasPast: true);
    }

    public ReadOnlySpan<float> LogitsOf(int index) => logits.Of(output!, index, ran.Tokens);

    public void Dispose()
    {
        output?.Dispose();
        output = null;
    }

    /// <summary>Writes the next token of each row.</summary>
    private void FillNext(ReadOnlySpan<int> past, ReadOnlySpan<int> tokens)
    {
        var longest = 0;
        foreach (var length in past) longest = Math.Max(longest, length + 1);
        var count = tokens.Length;
        var width = Math.Min(rows.Length, (longest + MaskStep - 1) / MaskStep * MaskStep);
        numbers.Resize(count, count * width);
        var ids = numbers.Ids.Span;
        var positions = numbers.Positions.Span;
        var mask = numbers.Mask.Span;
        for (var row = 0; row < count; row++)
        {
            (ids[row], positions[row]) = (tokens[row], past[row]);
            var of = mask.Slice(row * width, width);
            of[..(past[row] + 1)].Fill(1);
            of[(past[row] + 1)..].Clear();
        }
    }

    private void Run(RunOptions options, int firstRow, int rowCount, bool hasPast)
    {
        var values = numbers.Values(rowCount, hasPast);
        try
        {
            var cache = rows.View(firstRow, rowCount);
            session.Run(options, layout.InputNames, [.. values, .. cache], layout.OutputNames,
                [Output(rowCount, numbers.Ids.Length / rowCount), .. cache]);
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    /// <summary>Returns a value for the logits. It is kept for further runs of the same shape.</summary>
    private OrtValue Output(int rowCount, int tokens)
    {
        if (output is not null && ran == (rowCount, tokens)) return output;
        output?.Dispose();
        output = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, layout.Logits.Element, logits.ShapeOf(rowCount, tokens));
        ran = (rowCount, tokens);
        return output;
    }
}
