namespace Sluice.Domain.Scaling;

/// <summary>Learned service and start times of an endpoint.</summary>
/// <param name="ServedSeconds">Slot time of about the last hundred requests.</param>
/// <param name="Requests">Number of those requests.</param>
/// <param name="StartSeconds">Smoothed duration of a worker start; 0 if no start was observed.</param>
/// <param name="StartsSeenUntil">When the last counted worker became ready.</param>
public readonly record struct ServiceEstimates(
    double ServedSeconds, double Requests, double StartSeconds, DateTimeOffset StartsSeenUntil)
{
    /// <summary>Number of requests after which an old request has the weight 1/e.</summary>
    private const double Memory = 100;

    /// <summary>Weight of a new start. It is high because starts are rare.</summary>
    private const double StartWeight = 0.3;

    /// <summary>Assumed duration of a start until one was observed.</summary>
    public static readonly TimeSpan UnknownStart = TimeSpan.FromSeconds(5);

    /// <summary>Mean time that a request holds a slot, in seconds; null if no request has ended.</summary>
    public double? ServiceSeconds => Requests >= 0.5 ? ServedSeconds / Requests : null;

    /// <summary>Duration of a start, learned or assumed.</summary>
    public TimeSpan Start => StartSeconds > 0 ? TimeSpan.FromSeconds(StartSeconds) : UnknownStart;

    public ServiceEstimates Served(double slotSeconds, long requests)
    {
        var kept = Math.Exp(-requests / Memory);
        return this with { ServedSeconds = ServedSeconds * kept + slotSeconds, Requests = Requests * kept + requests };
    }

    public ServiceEstimates Started(TimeSpan took, DateTimeOffset readyAt) => this with
    {
        StartSeconds = StartSeconds > 0
            ? StartSeconds + StartWeight * (took.TotalSeconds - StartSeconds)
            : took.TotalSeconds,
        StartsSeenUntil = readyAt,
    };
}
