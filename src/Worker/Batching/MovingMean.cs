namespace Sluice.Worker.Batching;

/// <summary>
/// What a level was in the mean of about the last <paramref name="window"/>, or how often a second something came: what is older by a window counts e times
/// less. Nothing has to be kept, and nothing has to tick. Guarded by its owner's lock; times are since any one moment.
/// </summary>
internal sealed class MovingMean(TimeSpan window, TimeSpan now)
{
    private double mean;
    private double level;
    private TimeSpan last = now;

    /// <summary>The level is this from now on.</summary>
    public void Set(double next, TimeSpan now)
    {
        Move(now);
        level = next;
    }

    /// <summary>It came once more.</summary>
    public void Count(TimeSpan now)
    {
        Move(now);
        mean += 1 / window.TotalSeconds;
    }

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
