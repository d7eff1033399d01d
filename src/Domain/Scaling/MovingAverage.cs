namespace Sluice.Domain.Scaling;

/// <summary>
/// An exponentially weighted mean over the recent past: a value that is <c>tau</c> old has the weight 1/e. Immutable
/// data of constant size. Missing history does not count as zero, so the mean is a mean of what was observed. As a rate
/// it is therefore uncertain at first: bound it with <see cref="AtLeast"/> or <see cref="AtMost"/>.
/// </summary>
/// <param name="Sum">Weighted sum of the values.</param>
/// <param name="Weight">Sum of the weights. It approaches 1.</param>
public readonly record struct MovingAverage(double Sum, double Weight)
{
    public double Mean => Weight > 0 ? Sum / Weight : 0;

    /// <summary>Adds a value that was valid for <paramref name="elapsed"/>.</summary>
    public MovingAverage Add(double value, TimeSpan elapsed, TimeSpan tau)
    {
        var kept = Math.Exp(-elapsed / tau);
        return new MovingAverage(Sum * kept + value * (1 - kept), Weight * kept + (1 - kept));
    }

    /// <summary>
    /// Returns a lower bound of the event rate, in events per second: the mean minus <paramref name="sigmas"/> standard
    /// deviations of the mean, if the events are a Poisson process.
    /// </summary>
    public double AtLeast(TimeSpan tau, double sigmas)
    {
        var rate = Math.Max(0, Mean);
        return Math.Max(0, rate - sigmas * Math.Sqrt(rate / Span(tau)));
    }

    /// <summary>
    /// Returns an upper bound of the event rate in the same way. If no event was observed, the bound corresponds to a
    /// few events in the whole span.
    /// </summary>
    public double AtMost(TimeSpan tau, double sigmas)
    {
        var (rate, span) = (Math.Max(0, Mean), Span(tau));
        return rate + sigmas * Math.Sqrt(rate / span) + sigmas * sigmas / span;
    }

    /// <summary>
    /// Returns the length in seconds of a uniform window with the same variance: the observed time at first, twice tau
    /// in the long run.
    /// </summary>
    private double Span(TimeSpan tau) => Math.Max(1e-3, tau.TotalSeconds * Weight * (1 + Weight));
}
