namespace Sluice.Worker.Generation;

/// <summary>
/// The sequences that wait for a row, in the order in which they are served: by priority, then by arrival. Not
/// thread-safe.
/// </summary>
internal sealed class WaitingSequences
{
    private readonly List<Sequence> sequences = [];

    public int Count => sequences.Count;

    /// <summary>All sequences, the next one first.</summary>
    public IReadOnlyList<Sequence> All => sequences;

    /// <summary>Adds a sequence in front of those that are served later.</summary>
    public void Add(Sequence sequence)
    {
        var facts = sequence.Facts;
        // Most sequences are the last one.
        var at = sequences.FindLastIndex(s => !facts.Precedes(s.Facts));
        sequences.Insert(at + 1, sequence);
    }

    /// <summary>Removes and returns a sequence.</summary>
    public Sequence Take(long id)
    {
        var at = sequences.FindIndex(s => s.Id == id);
        var sequence = sequences[at];
        sequences.RemoveAt(at);
        return sequence;
    }

    /// <summary>Removes and returns the sequences whose readers stopped.</summary>
    public IReadOnlyList<Sequence> TakeAbandoned()
    {
        var abandoned = sequences.FindAll(s => s.IsAbandoned);
        if (abandoned.Count > 0) sequences.RemoveAll(abandoned.Contains);
        return abandoned;
    }

    /// <summary>Removes and returns the sequences that did not get a row in time.</summary>
    public IReadOnlyList<Sequence> TakeLate(long now)
    {
        var late = sequences.FindAll(s => s.Deadline < now && !s.WasPreempted);
        if (late.Count > 0) sequences.RemoveAll(late.Contains);
        return late;
    }
}
