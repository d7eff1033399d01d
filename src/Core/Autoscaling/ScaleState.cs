namespace Sluice.Core.Autoscaling;

/// <summary>
/// What the rule remembers of an endpoint between two looks; kept in Redis, so that a new leader knows what was learned and
/// spent. Constant in size.
/// </summary>
/// <param name="LowSince">Since when less is wanted than runs; null: it is not so.</param>
/// <param name="LowPeak">The most that was wanted in that time.</param>
/// <param name="Completed">The counter at the last look; negative: no look yet.</param>
public readonly record struct ScaleState(DateTimeOffset? LowSince, int LowPeak, long Completed)
{
    public static ScaleState Initial { get; } = new(null, 0, -1);

    /// <summary>Since when nothing at all is wanted; null: it is not so.</summary>
    public DateTimeOffset? IdleSince { get; init; }

    /// <summary>The last scale-in.</summary>
    public DateTimeOffset? ScaledInAt { get; init; }

    /// <summary>The last look.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>The other counters at the last look.</summary>
    public long Arrived { get; init; }

    public TimeSpan Served { get; init; }

    /// <summary>Requests a second that come, over three spans of time.</summary>
    public Traffic Traffic { get; init; }

    /// <summary>Service and start times.</summary>
    public Learned Learned { get; init; }

    /// <summary>CONCURRENCY's means and panic.</summary>
    public Panic Panic { get; init; }

    /// <summary>Workers ordered within the present step interval.</summary>
    public StepWindow Step { get; init; }

    /// <summary>Worker time used today.</summary>
    public Spending Spending { get; init; }

    /// <summary>What a new leader goes on with: all that was learned and spent; but it stops nothing on what it has not
    /// seen, so every wait for less begins anew.</summary>
    public ScaleState Resumed() => this with { LowSince = null, LowPeak = 0, IdleSince = null };
}

/// <summary>Arrival rates, requests a second.</summary>
/// <param name="Now">Over about three seconds.</param>
/// <param name="Recent">Over about a quarter of a minute.</param>
/// <param name="Usual">Over about a minute and a half.</param>
public readonly record struct Traffic(MovingAverage Now, MovingAverage Recent, MovingAverage Usual)
{
    public static readonly TimeSpan NowTau = TimeSpan.FromSeconds(1.5);
    public static readonly TimeSpan RecentTau = TimeSpan.FromSeconds(8);
    public static readonly TimeSpan UsualTau = TimeSpan.FromSeconds(40);

    public Traffic Add(double rate, TimeSpan elapsed) => new(Now.Add(rate, elapsed, NowTau),
        Recent.Add(rate, elapsed, RecentTau), Usual.Add(rate, elapsed, UsualTau));
}

/// <summary>What was learned of an endpoint's requests and workers.</summary>
/// <param name="ServedSeconds">Slot time of about the last hundred requests.</param>
/// <param name="Requests">How many those are.</param>
/// <param name="StartSeconds">How long a start takes, smoothed; 0: not seen yet.</param>
/// <param name="StartsSeenUntil">When the last worker that was counted became ready.</param>
public readonly record struct Learned(double ServedSeconds, double Requests, double StartSeconds, DateTimeOffset StartsSeenUntil)
{
    /// <summary>Requests after which an old one counts 1/e.</summary>
    private const double Memory = 100;

    /// <summary>Weight of a new start: starts are few.</summary>
    private const double StartWeight = 0.3;

    /// <summary>Thought of a start until one was seen.</summary>
    public static readonly TimeSpan UnknownStart = TimeSpan.FromSeconds(5);

    /// <summary>Mean time that a request holds a slot; null: nothing has ended yet.</summary>
    public double? ServiceSeconds => Requests >= 0.5 ? ServedSeconds / Requests : null;

    public TimeSpan Start => StartSeconds > 0 ? TimeSpan.FromSeconds(StartSeconds) : UnknownStart;

    public Learned Served(double slotSeconds, long requests)
    {
        var kept = Math.Exp(-requests / Memory);
        return this with { ServedSeconds = ServedSeconds * kept + slotSeconds, Requests = Requests * kept + requests };
    }

    public Learned Started(TimeSpan took, DateTimeOffset readyAt) => this with
    {
        StartSeconds = StartSeconds > 0 ? StartSeconds + StartWeight * (took.TotalSeconds - StartSeconds) : took.TotalSeconds,
        StartsSeenUntil = readyAt,
    };
}

/// <summary>CONCURRENCY's memory.</summary>
/// <param name="Stable">Mean concurrency over the stable window.</param>
/// <param name="Burst">The same over the panic window.</param>
/// <param name="Since">When the panic was last confirmed; null: there is none.</param>
/// <param name="Most">The most that was wanted in it.</param>
public readonly record struct Panic(MovingAverage Stable, MovingAverage Burst, DateTimeOffset? Since, int Most);

/// <summary>The present step interval.</summary>
/// <param name="Since">When it began; null: none did.</param>
/// <param name="From">How many workers there were then.</param>
public readonly record struct StepWindow(DateTimeOffset? Since, int From);

/// <summary>Worker time of one day.</summary>
public readonly record struct Spending(DateOnly Day, TimeSpan Used);
