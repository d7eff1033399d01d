namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Plans the steps of an engine whose cache has blocks: any sequence can use any block, and one run reads prompts and
/// generates tokens of all sequences. Pure.
/// </summary>
public static class BlockPlan
{
    /// <summary>Plans a step.</summary>
    /// <param name="running">The sequences that have blocks.</param>
    /// <param name="waiting">The other sequences, in the order in which they are served.</param>
    /// <param name="available">Number of blocks that no sequence uses.</param>
    /// <param name="maxSequences">Maximum number of sequences that are generated concurrently.</param>
    /// <param name="readTokens">Maximum numbers of tokens of prompts to read in this step.</param>
    public static StepPlan Make(
        IReadOnlyList<BlockNeed> running,
        IReadOnlyList<BlockNeed> waiting,
        int available,
        int maxSequences,
        ReadTokens readTokens)
    {
        var (kept, preempted) = (running.ToList(), new List<long>());
        var free = available - running.Sum(r => r.Missing);
        // The least important sequence loses its blocks until the others can continue.
        while (free < 0 && kept.Count > 1) Preempt(LeastImportant(kept));
        var (chunks, left) = (new List<(long, int)>(), readTokens.All);
        foreach (var need in kept.Where(k => !k.Sequence.Decodes)) Read(need.Sequence);
        foreach (var next in waiting)
        {
            if (left <= 0 || !HasRoom(next)) break;
            kept.Add(next);
            free -= next.Missing;
            Read(next.Sequence);
        }

        return new StepPlan(preempted, default, chunks);

        void Read(SequenceFacts sequence)
        {
            var tokens = sequence.Unread <= left ? sequence.Unread : Math.Min(left, readTokens.Part);
            if (tokens <= 0) return;
            chunks.Add((sequence.Id, tokens));
            left -= tokens;
        }

        void Preempt(BlockNeed need)
        {
            kept.Remove(need);
            free += need.Missing + need.Own;
            preempted.Add(need.Sequence.Id);
        }

        bool HasRoom(BlockNeed next)
        {
            if (Fits(next, free, kept.Count)) return true;
            // Only a sequence that decodes is replaced: the chunks of this step stay valid.
            var decoding = kept.Where(k => k.Sequence.Decodes).ToList();
            if (decoding.Count == 0) return false;
            var last = LeastImportant(decoding);
            if (last.Sequence.Priority <= next.Sequence.Priority
                || !Fits(next, free + last.Missing + last.Own, kept.Count - 1)) return false;
            Preempt(last);
            return true;
        }

        // Each of the others soon needs a block. Without a reserve, a new sequence would be preempted after few steps.
        bool Fits(BlockNeed next, int blocks, int others) =>
            others < maxSequences && next.Missing + others <= blocks;
    }

    private static BlockNeed LeastImportant(List<BlockNeed> sequences)
    {
        var last = sequences[0];
        foreach (var need in sequences)
            if (last.Sequence.Precedes(need.Sequence)) last = need;
        return last;
    }
}
