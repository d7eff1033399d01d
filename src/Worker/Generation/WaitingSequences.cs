namespace Sluice.Worker.Generation;

/// <summary>
/// The sequences that wait for a row, in the order in which they are served: by priority, then by arrival. Not
/// thread-safe.
/// </summary>
internal sealed class WaitingSequences
{
    private readonly List<Sequence> sequences = [];

    public int Count => sequences.Count;

    /// <summary>Number of their tokens.</summary>
    public long Tokens { get; private set; }

    /// <summary>All sequences, the next one first.</summary>
    public IReadOnlyList<Sequence> All => sequences;

    /// <summary>Adds a sequence in front of those that are served later.</summary>
    public void Add(Sequence sequence)
    {
        var facts = sequence.Facts;
        // Most sequences are the last one.
        var at = sequences.FindLastIndex(s => !facts.Precedes(s.Facts));
        sequences.Insert(at + 1, sequence);
        Tokens += sequence.Tokens.Length;
    }

    /// <summary>Removes and returns a sequence.</summary>
    public Sequence Take(long id)
    {
        var at = sequences.FindIndex(s => s.Id == id);
        var sequence = sequences[at];
        sequences.RemoveAt(at);
        Tokens -= sequence.Tokens.Length;
        return sequence;
    }

    /// <summary>Removes, closes and returns the sequences whose readers stopped.</summary>
    public IReadOnlyList<Sequence> CloseAbandoned()
    {
        var taken = TakeAll(s => s.IsAbandoned);
        foreach (var sequence in taken) sequence.Close();
        return taken;
    }

    /// <summary>Removes and returns the sequences that did not get a row in time.</summary>
    public IReadOnlyList<Sequence> TakeLate(long now) => TakeAll(s => s.Deadline < now && !s.WasPreempted);

    private List<Sequence> TakeAll(Predicate<Sequence> matches)
    {
        var taken = sequences.FindAll(matches);
        if (taken.Count == 0) return taken;
        // Not by the condition: a reader may stop between the two.
        var ids = taken.Select(s => s.Id).ToHashSet();
        sequences.RemoveAll(s => ids.Contains(s.Id));
        Tokens -= taken.Sum(s => (long)s.Tokens.Length);
        return taken;
    }
}
