namespace Sluice.Core.Autoscaling;

/// <summary>
/// A mean over the recent past, of which what lies <c>tau</c> back counts 1/e. Plain data of constant size, right from the
/// first value on: what the past does not hold is not taken for zero.
/// </summary>
/// <param name="Sum">Values by their weights.</param>
/// <param name="Weight">The weights, towards 1.</param>
public readonly record struct MovingAverage(double Sum, double Weight)
{
    public double Mean => Weight > 0 ? Sum / Weight : 0;

    /// <summary>What held for <paramref name="elapsed"/>.</summary>
    public MovingAverage Add(double value, TimeSpan elapsed, TimeSpan tau)
    {
        var kept = Math.Exp(-elapsed / tau);
        return new MovingAverage(Sum * kept + value * (1 - kept), Weight * kept + (1 - kept));
    }

    /// <summary>
    /// The rate that this mean of rates proves, in events a second: the mean, less <paramref name="sigmas"/> standard
    /// deviations of it were the events a Poisson process.
    /// </summary>
    public double AtLeast(TimeSpan tau, double sigmas)
    {
        var rate = Math.Max(0, Mean);
        return Math.Max(0, rate - sigmas * Math.Sqrt(rate / Span(tau)));
    }

    /// <summary>The rate that it still allows, likewise. Nothing seen allows a few events in the whole span.</summary>
    public double AtMost(TimeSpan tau, double sigmas)
    {
        var (rate, span) = (Math.Max(0, Mean), Span(tau));
        return rate + sigmas * Math.Sqrt(rate / span) + sigmas * sigmas / span;
    }

    /// <summary>Seconds of a window that tells as much: as long as was seen at first, in the end twice tau.</summary>
    private double Span(TimeSpan tau) => Math.Max(1e-3, tau.TotalSeconds * Weight * (1 + Weight));
}
