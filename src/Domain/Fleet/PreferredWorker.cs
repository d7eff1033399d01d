namespace Sluice.Domain.Fleet;

/// <summary>
/// The worker that a request prefers, because it has read most of the request before. It gets the request only if it
/// has a free slot and is not much busier than the least busy worker.
/// </summary>
/// <param name="PodId">The worker.</param>
/// <param name="Margin">Maximum number of slots that it may have in use more than the least busy worker.</param>
public sealed record PreferredWorker(string PodId, int Margin)
{
    /// <summary>
    /// The share of a worker's slots by which it may be busier: an eighth, at least one slot. A wait behind more texts
    /// than that costs about as much as the prompt that is not read again.
    /// </summary>
    private const int Share = 8;

    /// <summary>Returns the margin of a worker with a number of slots.</summary>
    public static int MarginOf(int concurrency) => Math.Max(1, concurrency / Share);

    /// <summary>Returns whether the worker is too busy for its preference.</summary>
    /// <param name="inUse">The slots that it has in use.</param>
    /// <param name="least">The slots that the least busy worker has in use.</param>
    public bool IsTooBusy(int inUse, int least) => inUse > least + Margin;
}
