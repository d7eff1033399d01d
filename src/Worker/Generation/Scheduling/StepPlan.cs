namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// What one step does, in this order: preempt, resize the cache, generate a token of each sequence that decodes, read
/// chunks of prompts.
/// </summary>
/// <param name="Preempted">
/// Sequences that lose their rows and wait again. Their tokens are kept, and are read again later.
/// </param>
/// <param name="Size">The size of the cache in this step.</param>
/// <param name="Chunks">
/// Prompts to read, with the number of tokens. A sequence that was waiting gets a row. Only the last chunk can leave a
/// part of a prompt unread, at least <see cref="ReadSize.Least"/> tokens.
/// </param>
public sealed record StepPlan(
    IReadOnlyList<long> Preempted,
    CacheSize Size,
    IReadOnlyList<(long Id, int Tokens)> Chunks)
{
    /// <summary>Plans a step. Pure.</summary>
    /// <param name="running">
    /// The sequences that have rows, in the order of the rows: those that decode, then at most one whose prompt is
    /// being read.
    /// </param>
    /// <param name="waiting">The other sequences, in the order in which they are served.</param>
    /// <param name="size">The current size of the cache.</param>
    /// <param name="limits">The limits of the cache.</param>
    /// <param name="readTokens">
    /// Numbers of tokens of prompts to read in this step. Fewer than <see cref="ReadSize.Least"/> more are read if a
    /// prompt is complete then.
    /// </param>
    /// <param name="spare">Number of rows that are useful besides those of the sequences, to keep tokens.</param>
    public static StepPlan Make(
        IReadOnlyList<SequenceFacts> running,
        IReadOnlyList<SequenceFacts> waiting,
        CacheSize size,
        SchedulerLimits limits,
        ReadTokens readTokens,
        int spare = 0)
    {
        var (kept, preempted) = (running.ToList(), new List<long>());
        // A sequence that cannot continue because the cache is full gets the row of the least important one.
        while (kept.Count > limits.RowsFor(LengthOf(kept, limits))) Preempt(kept, preempted);
        var chunks = new List<(long, int)>();
        var left = readTokens.All;
        foreach (var sequence in kept.Where(s => !s.Decodes)) left -= Read(sequence);
        foreach (var next in waiting)
        {
            // A prompt that is not read to its end is the last one of a step.
            if (chunks.Count > 0 && chunks[^1].Item2 < kept[^1].Unread && !kept[^1].Decodes) break;
            // A run for few tokens would take almost as long as one for many.
            if (left < (chunks.Count > 0 ? Math.Min(ReadSize.Least, next.Unread) : 1) || !HasRoom(next)) break;
            kept.Add(next);
            left -= Read(next);
        }

        var (needed, fits) = (LengthOf(kept, limits), limits.RowsFor(size.Length > 0 ? size.Length : 1));
        // Longer rows than needed are kept, if there are enough of them.
        var length = needed > size.Length || kept.Count > fits ? needed : size.Length;
        return new StepPlan(preempted, new CacheSize(RowsOf(kept.Count, length), length), chunks);

        int Read(SequenceFacts sequence)
        {
            var tokens = sequence.Unread < left + ReadSize.Least
                ? sequence.Unread
                : Math.Min(left, readTokens.Part);
            chunks.Add((sequence.Id, tokens));
            return tokens;
        }

        bool HasRoom(SequenceFacts next)
        {
            List<SequenceFacts> all = [.. kept, next];
            if (all.Count <= limits.RowsFor(LengthOf(all, limits))) return true;
            // Only a sequence that decodes is replaced: the chunks of this step stay valid.
            var last = kept.Where(s => s.Decodes).OrderBy(s => (s.Priority, s.Id)).LastOrDefault();
            if (!last.Decodes || last.Priority <= next.Priority) return false;
            all.Remove(last);
            if (all.Count > limits.RowsFor(LengthOf(all, limits))) return false;
            kept.Remove(last);
            preempted.Add(last.Id);
            return true;
        }

        // Rows are doubled, so that not every new sequence copies the cache. The others keep prefixes of prompts.
        int RowsOf(int count, int length)
        {
            var most = limits.RowsFor(length);
            var rows = Math.Max(1, Math.Min(size.Rows, most));
            while (rows < Math.Min(most, count + spare)) rows = Math.Min(most, rows * 2);
            return rows;
        }
    }

    /// <summary>Removes the least important sequence.</summary>
    private static void Preempt(List<SequenceFacts> kept, List<long> preempted)
    {
        var last = kept[0];
        foreach (var sequence in kept)
            if (last.Precedes(sequence)) last = sequence;
        kept.Remove(last);
        preempted.Add(last.Id);
    }

    /// <summary>Returns the length of the rows that these sequences need.</summary>
    private static int LengthOf(List<SequenceFacts> sequences, SchedulerLimits limits) =>
        limits.LengthFor(sequences.Count == 0 ? 1 : sequences.Max(s => s.Known));
}
