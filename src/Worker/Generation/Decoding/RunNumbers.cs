using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The inputs of a run that are not the cache: ids or their vectors, mask, positions. The memory is reused by the next
/// run. Not thread-safe.
/// </summary>
/// <param name="layout">The inputs and outputs.</param>
/// <param name="embeddings">Converts ids to vectors. Null: the model has an input for the ids.</param>
internal sealed class RunNumbers(DecoderLayout layout, EmbeddingModel? embeddings)
{
    private static readonly long[] One = [1];

    private long[] numbers = [];

    /// <summary>The tokens of all rows.</summary>
    public Memory<long> Ids { get; private set; }

    /// <summary>The positions of the tokens.</summary>
    public Memory<long> Positions { get; private set; }

    /// <summary>1 for each token that is attended.</summary>
    public Memory<long> Mask { get; private set; }

    /// <summary>Makes room for a run. The content is undefined.</summary>
    /// <param name="tokens">Number of tokens of all rows.</param>
    /// <param name="mask">Number of values of the mask.</param>
    public void Resize(int tokens, int mask)
    {
        var needed = (2 * tokens) + mask;
        if (numbers.Length < needed)
            numbers = GC.AllocateUninitializedArray<long>(Math.Max(needed, 2 * numbers.Length));
        Ids = numbers.AsMemory(0, tokens);
        Positions = numbers.AsMemory(tokens, tokens);
        Mask = numbers.AsMemory(2 * tokens, mask);
    }

    /// <summary>Writes consecutive tokens of one row that contains some already.</summary>
    public void FillRow(int past, ReadOnlySpan<int> tokens)
    {
        Resize(tokens.Length, past + tokens.Length);
        for (var i = 0; i < tokens.Length; i++) (Ids.Span[i], Positions.Span[i]) = (tokens[i], past + i);
        Mask.Span.Fill(1);
    }

    /// <summary>Returns the values of a run, in the order of the layout. The caller disposes them.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="hasPast">Whether the rows contain tokens.</param>
    public OrtValue[] Values(int rows, bool hasPast)
    {
        var host = OrtMemoryInfo.DefaultInstance;
        long[] shape = [rows, Ids.Length / rows];
        var ids = OrtValue.CreateTensorValueFromMemory(host, Ids, shape);
        var values = new List<OrtValue>();
        if (embeddings is null) values.Add(ids);
        else
            using (ids) values.AddRange(embeddings.Run(ids, layout.Embedded));
        values.Add(OrtValue.CreateTensorValueFromMemory(host, Mask, [rows, Mask.Length / rows]));
        if (layout.PositionRows == 1) values.Add(OrtValue.CreateTensorValueFromMemory(host, Positions, shape));
        else if (layout.HasPositions) values.Add(RepeatedPositions(shape));
        if (layout.HasCacheBranch) values.Add(OrtValue.CreateTensorValueFromMemory(new[] { hasPast }, [1]));
        if (layout.LogitsToKeepShape is { } keep)
            values.Add(OrtValue.CreateTensorValueFromMemory(host, One.AsMemory(), keep));
        return [.. values];
    }

    private OrtValue RepeatedPositions(long[] shape)
    {
        var repeated = new long[layout.PositionRows * Positions.Length];
        for (var row = 0; row < layout.PositionRows; row++)
            Positions.CopyTo(repeated.AsMemory(row * Positions.Length));
        return OrtValue.CreateTensorValueFromMemory(repeated, [layout.PositionRows, .. shape]);
    }
}
