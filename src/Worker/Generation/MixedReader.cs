using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Decoding;

namespace Sluice.Worker.Generation;

/// <summary>
/// Reads parts of prompts and the last tokens of sequences that decode, in as few runs as possible. If a run of several
/// sequences fails, each one is run alone, so that only those that caused the failure fail.
/// </summary>
/// <param name="decoder">A decoder that reads mixed rows.</param>
/// <param name="cache">The sequences that run.</param>
/// <param name="statistics">Counts the tokens.</param>
internal sealed class MixedReader(IDecoder decoder, ISequenceCache cache, GenerationStatistics statistics)
{
    private readonly List<int> past = [], counts = [], tokens = [];

    /// <summary>Reads tokens of running sequences.</summary>
    /// <param name="options">Options of the runs.</param>
    /// <param name="ends">
    /// Number of tokens in the cache afterwards, by number of the sequence. Of sequences that decode, the last token is
    /// read.
    /// </param>
    /// <param name="onRead">
    /// Called after tokens of a sequence were read, with its position and the index of its logits.
    /// </param>
    /// <param name="onFailed">Called with the position of a sequence that fails alone too.</param>
    /// <param name="stopping">Errors after this has been cancelled are thrown.</param>
    public void Read(
        RunOptions options,
        IReadOnlyDictionary<long, int> ends,
        Action<int, int> onRead,
        Action<int, OnnxRuntimeException> onFailed,
        CancellationToken stopping)
    {
        var reads = cache.Running
            .Select((s, i) => (Position: i, Tokens: s.Decodes ? 1 : ends.GetValueOrDefault(s.Id) - s.Read))
            .Where(r => r.Tokens > 0)
            .Select(r => r with { Tokens = Math.Min(r.Tokens, decoder.MaxTokens) })
            .ToList();
        foreach (var (position, count) in reads)
            cache.Reserve(position, cache.Running[position].Read + count);
        for (var (from, to) = (0, 0); from < reads.Count; from = to)
        {
            var sum = 0;
            for (to = from; to < reads.Count && (to == from || sum + reads[to].Tokens <= decoder.MaxTokens); to++)
                sum += reads[to].Tokens;
            var run = reads.Skip(from).Take(to - from).ToList();
            if (TryRun(options, run, stopping) is null)
            {
                Record(run);
                for (var i = 0; i < run.Count; i++) onRead(run[i].Position, i);
            }
            else
                foreach (var read in run) ReadAlone(options, read, onRead, onFailed, stopping);
        }
    }

    private void ReadAlone(
        RunOptions options,
        (int Position, int Tokens) read,
        Action<int, int> onRead,
        Action<int, OnnxRuntimeException> onFailed,
        CancellationToken stopping)
    {
        if (TryRun(options, [read], stopping) is { } error)
        {
            onFailed(read.Position, error);
            return;
        }

        Record([read]);
        onRead(read.Position, 0);
    }

    private void Record(IReadOnlyList<(int Position, int Tokens)> reads)
    {
        foreach (var (position, count) in reads)
        {
            var sequence = cache.Running[position];
            var (prompt, again) = sequence.OnRead(count);
            if (!sequence.Decodes) statistics.RecordRead(prompt, again);
        }

        cache.OnRead();
    }

    /// <summary>Returns the error of a run, after which the sequences are unchanged.</summary>
    private OnnxRuntimeException? TryRun(
        RunOptions options,
        IReadOnlyList<(int Position, int Tokens)> reads,
        CancellationToken stopping)
    {
        past.Clear();
        counts.Clear();
        tokens.Clear();
        foreach (var (position, count) in reads)
        {
            var sequence = cache.Running[position];
            past.Add(sequence.Read);
            counts.Add(count);
            tokens.AddRange(sequence.Next(count));
        }

        try
        {
            decoder.ReadMixedRows(options, [.. reads.Select(r => r.Position)], [.. past], [.. counts], [.. tokens]);
            return null;
        }
        catch (OnnxRuntimeException e) when (!stopping.IsCancellationRequested)
        {
            return e;
        }
    }
}
