using System.Numerics;

namespace Sluice.Worker.Generation.Scheduling;

/// <summary>The limits of the generations of one model.</summary>
/// <param name="Context">Maximum number of tokens of a sequence.</param>
/// <param name="CacheTokens">
/// Maximum number of tokens for which the key/value cache has room, in all rows; at least <paramref name="Context"/>.
/// </param>
/// <param name="MaxSequences">Maximum number of sequences that are generated concurrently.</param>
/// <param name="ShortestRow">
/// Length of the shortest rows. Rows are doubled when a sequence becomes longer.
/// </param>
public sealed record SchedulerLimits(int Context, long CacheTokens, int MaxSequences, int ShortestRow = 256)
{
    /// <summary>Tokens of a block; 0: the cache has rows.</summary>
    public int BlockSize { get; init; }

    /// <summary>Returns the length of the shortest rows that have room for a number of tokens.</summary>
    public int LengthFor(int tokens) =>
        (int)Math.Min(Context, Math.Max(ShortestRow, BitOperations.RoundUpToPowerOf2((uint)tokens)));

    /// <summary>Returns the number of rows of a length for which the cache has room.</summary>
    public int RowsFor(int length) => (int)Math.Clamp(CacheTokens / length, 1, MaxSequences);
}
