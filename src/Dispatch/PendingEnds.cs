namespace Sluice.Dispatch;

/// <summary>
/// Keeps the ends of attempts until they are sent to Redis, and limits how many one call carries. Not thread-safe: the
/// owner synchronizes access.
/// </summary>
internal sealed class PendingEnds
{
    /// <summary>
    /// The most ends, and the most bytes of them, in one call. Redis runs no other command during the call.
    /// </summary>
    private const int MaxEnds = 100;
    private const int MaxEndBytes = 1 << 20;

    private readonly List<PendingEnd> ends = [];

    public bool IsEmpty => ends.Count == 0;

    public void Add(PendingEnd end) => ends.Add(end);

    /// <summary>Puts the ends of a failed call before all others.</summary>
    public void PutFirst(IEnumerable<PendingEnd> unanswered) => ends.InsertRange(0, unanswered);

    /// <summary>Takes the ends for the next call.</summary>
    public List<PendingEnd> TakeAll()
    {
        var (count, bytes) = (0, 0);
        while (count < Math.Min(ends.Count, MaxEnds) && (count == 0 || Fits(ends[count])))
            bytes += ends[count++].End.Bytes;
        var taken = ends.GetRange(0, count);
        ends.RemoveRange(0, count);
        return taken;

        bool Fits(PendingEnd next) => !next.Alone && !ends[0].Alone && bytes + next.End.Bytes <= MaxEndBytes;
    }
}
