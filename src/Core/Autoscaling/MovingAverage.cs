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
    /// deviations of it were the events a Poisson process. An exponentially weighted mean of full weight has the
    /// variance of a window of twice its tau.
    /// </summary>
    public double Proven(TimeSpan tau, double sigmas)
    {
        var rate = Math.Max(0, Mean);
        var seen = Math.Max(1e-3, 2 * tau.TotalSeconds * Weight);
        return Math.Max(0, rate - sigmas * Math.Sqrt(rate / seen));
    }
}
