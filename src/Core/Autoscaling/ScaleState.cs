namespace Sluice.Core.Autoscaling;

/// <summary>
/// The state of an endpoint between two scaling decisions. It is stored in Redis, so that a new leader continues with
/// the learned times and the used worker time. Constant in size.
/// </summary>
/// <param name="LowSince">Since when fewer workers are wanted than run; null if this is not the case.</param>
/// <param name="LowPeak">The highest number of workers wanted since then.</param>
/// <param name="Completed">The counter of ended requests at the previous pass; negative before the first pass.</param>
public readonly record struct ScaleState(DateTimeOffset? LowSince, int LowPeak, long Completed)
{
    public static ScaleState Initial { get; } = new(null, 0, -1);

    /// <summary>Since when no worker is wanted; null if this is not the case.</summary>
    public DateTimeOffset? IdleSince { get; init; }

    /// <summary>Time of the last scale-in.</summary>
    public DateTimeOffset? ScaledInAt { get; init; }

    /// <summary>Time of the previous pass.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>The counter of arrived requests at the previous pass.</summary>
    public long Arrived { get; init; }

    /// <summary>The counter of slot time at the previous pass.</summary>
    public TimeSpan Served { get; init; }

    /// <summary>Arrival rates over three time spans.</summary>
    public Traffic Traffic { get; init; }

    /// <summary>Learned service and start times.</summary>
    public ServiceEstimates Learned { get; init; }

    /// <summary>Means and panic state of the CONCURRENCY scaler.</summary>
    public Panic Panic { get; init; }

    /// <summary>The current step interval.</summary>
    public StepWindow Step { get; init; }

    /// <summary>Worker time used today.</summary>
    public Spending Spending { get; init; }

    /// <summary>
    /// Returns the state with which a new leader continues: the learned times and the used worker time. The delays
    /// before a scale-in start again, because a leader does not stop workers on the basis of time that it did not
    /// observe.
    /// </summary>
    public ScaleState Resumed() => this with { LowSince = null, LowPeak = 0, IdleSince = null };
}

/// <summary>Arrival rates in requests per second.</summary>
/// <param name="Now">Over about 3 seconds.</param>
/// <param name="Recent">Over about 15 seconds.</param>
/// <param name="Usual">Over about 90 seconds.</param>
public readonly record struct Traffic(MovingAverage Now, MovingAverage Recent, MovingAverage Usual)
{
    public static readonly TimeSpan NowTau = TimeSpan.FromSeconds(1.5);
    public static readonly TimeSpan RecentTau = TimeSpan.FromSeconds(8);
    public static readonly TimeSpan UsualTau = TimeSpan.FromSeconds(40);

    public Traffic Add(double rate, TimeSpan elapsed) => new(Now.Add(rate, elapsed, NowTau),
        Recent.Add(rate, elapsed, RecentTau), Usual.Add(rate, elapsed, UsualTau));
}

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

/// <summary>The state of the CONCURRENCY scaler.</summary>
/// <param name="Stable">Mean concurrency over the stable window.</param>
/// <param name="Burst">Mean concurrency over the panic window.</param>
/// <param name="Since">When the panic was last confirmed; null if there is no panic.</param>
/// <param name="Most">The highest number of workers wanted during the panic.</param>
public readonly record struct Panic(MovingAverage Stable, MovingAverage Burst, DateTimeOffset? Since, int Most);

/// <summary>The current step interval.</summary>
/// <param name="Since">When the interval started; null if there is none.</param>
/// <param name="From">Number of workers at that time.</param>
public readonly record struct StepWindow(DateTimeOffset? Since, int From);

/// <summary>Worker time used on one day (UTC).</summary>
public readonly record struct Spending(DateOnly Day, TimeSpan Used);
