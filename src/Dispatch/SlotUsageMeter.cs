namespace Sluice.Dispatch;

/// <summary>
/// Measures how long slots were in use, summed over slots. Mean concurrency and mean service time are derived from it,
/// exactly, even for very short requests. Not thread-safe: the owner synchronizes access.
/// </summary>
internal struct SlotUsageMeter(TimeProvider time)
{
    private long since = time.GetTimestamp();
    private TimeSpan used;

    /// <summary>Adds the time since the last call, in which <paramref name="busy"/> slots were in use.</summary>
    public void Advance(int busy)
    {
        var now = time.GetTimestamp();
        if (busy > 0) used += busy * time.GetElapsedTime(since, now);
        since = now;
    }

    /// <summary>Returns the whole milliseconds since the last call; the remainder is kept.</summary>
    public long TakeMs()
    {
        var ms = (long)used.TotalMilliseconds;
        used -= TimeSpan.FromMilliseconds(ms);
        return ms;
    }
}
