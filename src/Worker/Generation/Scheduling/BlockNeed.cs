namespace Sluice.Worker.Generation.Scheduling;

/// <summary>The blocks of a paged cache that one sequence needs.</summary>
/// <param name="Sequence">The sequence.</param>
/// <param name="Missing">Number of available blocks that it takes until all its tokens have room.</param>
/// <param name="Own">Number of blocks that become available when it loses its blocks.</param>
public readonly record struct BlockNeed(SequenceFacts Sequence, int Missing, int Own = 0);
