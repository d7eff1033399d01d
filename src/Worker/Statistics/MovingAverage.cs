namespace Sluice.Worker.Statistics;

/// <summary>
/// Computes an exponential moving average of a level, or of the number of events per second. A value that is older by
/// one window has 1/e of the weight. It needs neither stored samples nor a timer. Not thread-safe: the owner's lock
/// guards it.
/// </summary>
/// <param name="window">The window.</param>
/// <param name="now">The current time, relative to any fixed time that all calls use.</param>
internal sealed class MovingAverage(TimeSpan window, TimeSpan now)
{
    private double mean;
    private double level;
    private TimeSpan last = now;

    /// <summary>Sets the level.</summary>
    public void Set(double next, TimeSpan now)
    {
        Move(now);
        level = next;
    }

    /// <summary>Counts one event.</summary>
    public void Count(TimeSpan now)
    {
        Move(now);
        mean += 1 / window.TotalSeconds;
    }

    /// <summary>Returns the average.</summary>
    public double At(TimeSpan now)
    {
        Move(now);
        return mean;
    }

    private void Move(TimeSpan now)
    {
        if (now <= last) return;
        mean = level + ((mean - level) * Math.Exp((last - now) / window));
        last = now;
    }
}
