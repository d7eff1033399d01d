using Sluice.Worker.Generation.Blocks;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Generation;

/// <summary>
/// Sequences in the blocks of a paged cache. Full blocks are shared without a copy; of the last, partial block the
/// tokens are copied before the new sequence writes into it. Not thread-safe.
/// </summary>
/// <param name="cache">The memory of the blocks.</param>
/// <param name="keeps">Whether tokens are kept and shared.</param>
internal sealed class SequenceBlocks(PagedKvCache cache, bool keeps) : ISequenceCache
{
    private readonly List<Sequence> running = [];
    private readonly List<BlockTable> tables = [];

    /// <summary>The waiting sequences that were looked up for the next plan, with the blocks that they need.</summary>
    private readonly Dictionary<long, (Sequence Sequence, int Missing)> found = [];
    private BlockPool pool = NewPool(cache);

    public IReadOnlyList<Sequence> Running => running;

    public long TokensHeld => running.Sum(s => (long)s.Read);

    public long TokensKept => pool.TokensKept;

    public int FindShared(Sequence sequence)
    {
        var shared = keeps ? pool.Find(sequence.Scope, sequence.Tokens) : SharedPrefix.None;
        found[sequence.Id] = (sequence, pool.BlocksFor(sequence.Tokens.Length) - shared.InUse);
        return shared.Tokens;
    }

    public StepPlan Plan(
        IReadOnlyList<SequenceFacts> running,
        IReadOnlyList<SequenceFacts> waiting,
        SchedulerLimits limits,
        ReadTokens readTokens)
    {
        var needs = running.Select((s, i) => new BlockNeed(
            s, Math.Max(0, pool.BlocksFor(s.Known) - tables[i].Blocks.Count), pool.OwnBlocks(tables[i]))).ToList();
        var next = new List<BlockNeed>();
        foreach (var facts in waiting)
        {
            var (sequence, missing) = found[facts.Id];
            if (!WaitsForPrefix(sequence, facts, next)) next.Add(new BlockNeed(facts, missing));
        }

        var plan = BlockPlan.Make(needs, next, pool.Available, limits.MaxSequences, readTokens);
        found.Clear();
        return plan;
    }

    public void Resize(CacheSize size) => cache.Allocate();

    public int Add(Sequence sequence)
    {
        var table = pool.Acquire(sequence.Scope, sequence.Tokens, out var shared, out var copy);
        running.Add(sequence);
        tables.Add(table);
        cache.Tables.Add(table.Blocks);
        if (copy is { } tail) cache.Copy(tail);
        sequence.OnShared(shared);
        return running.Count - 1;
    }

    public void Reserve(int position, int tokens) => pool.Extend(tables[position], tokens);

    public void OnRead()
    {
        for (var i = 0; keeps && i < running.Count; i++) pool.Fill(tables[i], running[i].TokensRead);
    }

    public void Remove(int position, bool keep)
    {
        pool.Release(tables[position], keep);
        running.RemoveAt(position);
        tables.RemoveAt(position);
        cache.Tables.RemoveAt(position);
    }

    public void Clear()
    {
        running.Clear();
        tables.Clear();
        cache.Dispose();
        pool = NewPool(cache);
    }

    private static BlockPool NewPool(PagedKvCache cache) => new(cache.Blocks, cache.BlockSize, cache.CanCopy);

    /// <summary>
    /// Whether another sequence is reading tokens with which this one begins. It waits until they are read, instead of
    /// reading them too.
    /// </summary>
    private bool WaitsForPrefix(Sequence sequence, SequenceFacts facts, List<BlockNeed> joining)
    {
        if (!keeps) return false;
        var wanted = sequence.Tokens[..^1];
        foreach (var other in running.Concat(joining.Select(j => found[j.Sequence.Id].Sequence)))
            if (!other.Decodes && other.Scope == sequence.Scope
                && wanted.CommonPrefixLength(other.Tokens) >= facts.Read + pool.Size) return true;
        return false;
    }
}
