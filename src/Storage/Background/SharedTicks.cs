namespace Sluice.Storage.Background;

/// <summary>
/// Timers of background loops whose ticks coincide: a timer ticks when the clock is at a multiple of its period, so a
/// loop with a period of 1 s and one with 5 s wake at the same time. Their commands then go to Redis together, and the
/// process sleeps in between. Linux rounds timers that need no precision for the same reason
/// (<c>round_jiffies</c>, include/linux/timer.h). With a phase of its own for each loop, an idle gateway woke 83 times
/// a second (loadtests/results, 2026-12-01-idle-cost).
/// </summary>
public static class SharedTicks
{
    /// <summary>
    /// Returns a timer that ticks at multiples of the period. The first tick follows within 1.1 periods.
    /// </summary>
    public static PeriodicTimer Every(TimeSpan period, TimeProvider time) => new(period, new Aligned(time));

    /// <summary>Completes after <see cref="UntilNext"/>, or is cancelled.</summary>
    public static Task WaitAsync(TimeSpan period, TimeProvider time, CancellationToken ct) =>
        Task.Delay(UntilNext(period, time), time, ct);

    /// <summary>
    /// Returns the time to the next multiple of the period that is at least a tenth of the period away: a delay may end
    /// a millisecond early, and would be followed by another that ends at the same multiple.
    /// </summary>
    public static TimeSpan UntilNext(TimeSpan period, TimeProvider time)
    {
        var now = TimeSpan.FromMilliseconds(Math.Round(time.GetElapsedTime(0).TotalMilliseconds));
        var left = period - TimeSpan.FromTicks(now.Ticks % period.Ticks);
        return left < period / 10 ? left + period : left;
    }

    /// <summary>Creates periodic timers with a first tick at a multiple of their period.</summary>
    private sealed class Aligned(TimeProvider time) : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            time.CreateTimer(callback, state, UntilNext(period, time), period);
    }
}
