namespace Sluice.Core.Dispatch;

/// <summary>
/// How long slots were in use, summed over them: what mean concurrency and mean service time are made of, exactly,
/// however short the requests. Plain data; its owner guards it.
/// </summary>
internal struct SlotTime(TimeProvider time)
{
    private long since = time.GetTimestamp();
    private TimeSpan used;

    /// <summary>Counts the time since the last call, in which <paramref name="busy"/> slots were in use.</summary>
    public void Advance(int busy)
    {
        var now = time.GetTimestamp();
        if (busy > 0) used += busy * time.GetElapsedTime(since, now);
        since = now;
    }

    /// <summary>Whole milliseconds counted since the last call; the rest stays.</summary>
    public long TakeMs()
    {
        var ms = (long)used.TotalMilliseconds;
        used -= TimeSpan.FromMilliseconds(ms);
        return ms;
    }
}
