using Sluice.Storage.Files;

namespace Sluice.Storage.Batches;

/// <summary>Lines that a run wrote to its parts, for one commit.</summary>
/// <param name="Lines">The lines, from 1.</param>
/// <param name="Completed">How many of them are in the output.</param>
/// <param name="Output">The part of the output; null: the commit has no line for it.</param>
/// <param name="Errors">The part of the errors; null: the commit has no line for it.</param>
public sealed record BatchCommit(IReadOnlyList<int> Lines, int Completed, PartGrowth? Output, PartGrowth? Errors)
{
    /// <summary>A commit without lines. It renews the lease.</summary>
    public static BatchCommit Renewal { get; } = new([], 0, null, null);
}

/// <summary>How a part grew.</summary>
/// <param name="Part">The part after the commit.</param>
/// <param name="From">Its length at the last commit.</param>
public readonly record struct PartGrowth(Blob Part, long From);
