namespace Sluice.Dispatch;

/// <summary>
/// Measures how fast the requests of this gateway to an endpoint complete, smoothed over about ten ticks of one second.
/// Retry-After values are based on it. Not thread-safe: the owner synchronizes access.
/// </summary>
internal sealed class ServiceRate
{
    private const double Smoothing = 0.2;

    /// <summary>The value before the first measurement: about one cold start.</summary>
    private static readonly TimeSpan Unmeasured = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private double perTick;

    public void Tick(long completed) => perTick += Smoothing * (completed - perTick);

    /// <summary>
    /// Returns when the last of <paramref name="waiting"/> requests will get a slot at the current rate.
    /// </summary>
    public TimeSpan TimeFor(int waiting)
    {
        if (perTick < 0.01) return Unmeasured;
        var seconds = Math.Clamp(waiting / perTick, 1, Longest.TotalSeconds);
        return TimeSpan.FromSeconds(Math.Ceiling(seconds));
    }
}
