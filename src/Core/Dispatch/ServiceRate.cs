namespace Sluice.Core.Dispatch;

/// <summary>
/// How fast this gateway's requests to an endpoint end, smoothed over about ten ticks of one second: what an honest
/// Retry-After is made of. Plain data; its owner guards it.
/// </summary>
internal sealed class ServiceRate
{
    private const double Smoothing = 0.2;

    /// <summary>Said while nothing was measured yet: about a cold start.</summary>
    private static readonly TimeSpan Unmeasured = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private double perTick;

    public void Tick(long completed) => perTick += Smoothing * (completed - perTick);

    /// <summary>When the last of <paramref name="waiting"/> requests will have been taken, at the present rate.</summary>
    public TimeSpan TimeFor(int waiting)
    {
        if (perTick < 0.01) return Unmeasured;
        var seconds = Math.Clamp(waiting / perTick, 1, Longest.TotalSeconds);
        return TimeSpan.FromSeconds(Math.Ceiling(seconds));
    }
}
