namespace Sluice.Worker.Generation.Scheduling;

/// <summary>What the plan of a step depends on, of one sequence.</summary>
/// <param name="Id">Number of the sequence; later sequences have higher numbers.</param>
/// <param name="Known">Number of its tokens: those of the prompt and the generated ones.</param>
/// <param name="Read">
/// Number of tokens whose keys and values are in its row. Of a waiting sequence: the number that can be copied from
/// another row.
/// </param>
/// <param name="Priority">Sequences with lower numbers are served first.</param>
/// <param name="Decodes">
/// Whether only its last token is not read, and each step generates one more. Otherwise its prompt is being read.
/// </param>
public readonly record struct SequenceFacts(long Id, int Known, int Read, int Priority, bool Decodes)
{
    /// <summary>Number of tokens to read before the next token can be generated.</summary>
    public int Unread => Known - Read;

    /// <summary>Whether this sequence is served before another one.</summary>
    public bool Precedes(SequenceFacts other) => (Priority, Id).CompareTo((other.Priority, other.Id)) < 0;
}
