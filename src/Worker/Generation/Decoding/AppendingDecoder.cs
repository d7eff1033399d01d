using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Runs a decoder of standard attention, which gets the keys and values of the past as tensors of the exact length, and
/// returns new ones with the next tokens appended. Sequences of different lengths are aligned at their ends: a run
/// ignores the padding before the shorter ones, because the mask excludes it and the positions do not count it.
/// </summary>
/// <param name="session">The session of the model.</param>
/// <param name="layout">The inputs and outputs.</param>
/// <param name="rows">The cache. The decoder copies from and to its rows.</param>
/// <param name="embeddings">Converts tokens to vectors. Null: the model has an input for the tokens.</param>
internal sealed class AppendingDecoder(
    ModelSession session,
    DecoderLayout layout,
    KvSlab rows,
    EmbeddingModel? embeddings) : IDecoder
{
    private readonly RunLogits logits = new(layout.Logits, layout.Vocabulary, layout.OnlyLastLogits);
    private readonly RunNumbers numbers = new(layout, embeddings);

    /// <summary>
    /// Outputs of the last run. If the next run continues the same rows, they are its past, without a copy.
    /// </summary>
    private IDisposableReadOnlyCollection<OrtValue>? last;
    private (int FirstRow, int[] Lengths, int Padded, long Version) has;
    private int ranTokens;

    public int MaxTokens => logits.MaxTokens;

    /// <summary>Without positions, a model counts the padding as tokens.</summary>
    public bool ReadsSeveralRows => layout.HasPositions;

    public void Read(RunOptions options, int row, int past, ReadOnlySpan<int> tokens)
    {
        numbers.FillRow(past, tokens);
        Run(options, row, [past], past, tokens.Length);
    }

    public void ReadRows(RunOptions options, ReadOnlySpan<int> past, ReadOnlySpan<int> tokens)
    {
        var count = tokens.Length;
        var padded = PaddedLength(past);
        numbers.Resize(count, count * (padded + 1));
        var ids = numbers.Ids.Span;
        var positions = numbers.Positions.Span;
        var mask = numbers.Mask.Span;
        for (var row = 0; row < count; row++)
        {
            (ids[row], positions[row]) = (tokens[row], past[row]);
            var of = mask.Slice(row * (padded + 1), padded + 1);
            of[..(padded - past[row])].Clear();
            of[(padded - past[row])..].Fill(1);
        }

        Run(options, 0, past.ToArray(), padded, 1);
    }

    public ReadOnlySpan<float> LogitsOf(int index) => logits.Of(last![0], index, ranTokens);

    public void Dispose()
    {
        last?.Dispose();
        last = null;
    }

    /// <summary>
    /// Returns the length to which the past of all rows is padded. The padding of the last run is kept, so that its
    /// outputs can be used as they are.
    /// </summary>
    private int PaddedLength(ReadOnlySpan<int> past)
    {
        if (Continues(0, past)) return has.Padded;
        var longest = 0;
        foreach (var length in past) longest = Math.Max(longest, length);
        return longest;
    }

    private bool Continues(int firstRow, ReadOnlySpan<int> past) => last is not null
        && has.FirstRow == firstRow && has.Version == rows.Version && past.SequenceEqual(has.Lengths);

    /// <param name="options">Options of the run.</param>
    /// <param name="firstRow">The first row.</param>
    /// <param name="past">Number of tokens that each row contains.</param>
    /// <param name="padded">Length to which the past is padded.</param>
    /// <param name="tokens">Number of new tokens of each row.</param>
    private void Run(RunOptions options, int firstRow, int[] past, int padded, int tokens)
    {
        var values = numbers.Values(past.Length, padded > 0);
        var gathered = Continues(firstRow, past) && has.Padded == padded
            ? null
            : layout.Cache.Select((_, i) => rows.Gather(i, firstRow, past, padded)).ToArray();
        try
        {
            var outputs = session.Run(options, layout.InputNames,
                [.. values, .. gathered ?? [.. last!.Skip(1)]], layout.OutputNames);
            Dispose();
            last = outputs;
        }
        finally
        {
            foreach (var value in values) value.Dispose();
            foreach (var value in gathered ?? []) value.Dispose();
        }

        for (var i = 0; i < layout.Cache.Count; i++) rows.Append(i, firstRow, past, last[i + 1], padded, tokens);
        ranTokens = tokens;
        has = (firstRow, Array.ConvertAll(past, p => p + tokens), padded + tokens, rows.Version);
    }
}
