using System.Text.Json.Serialization;

namespace Sluice.Core.Endpoints;

/// <summary>What orders workers for an endpoint: the first step of <see cref="Autoscaling.Autoscaler.Decide"/>.</summary>
[JsonConverter(typeof(ScalerConverter))]
public enum Scaler
{
    /// <summary>So many workers that a request that arrives waits no longer than <see cref="ScalePolicy.TargetWait"/>, by what
    /// was learned of arrivals, service and start times.</summary>
    Slo,

    /// <summary>Workers = waiting and running requests, divided by <see cref="ScalePolicy.Target"/>.</summary>
    RequestCount,

    /// <summary>One more worker whenever the oldest request has waited longer than
    /// <see cref="ScalePolicy.MaxDelay"/>.</summary>
    QueueDelay,

    /// <summary>Workers = mean concurrency over a stable window, or a short one in a panic, divided by
    /// <see cref="ScalePolicy.Target"/> times <see cref="ScalePolicy.TargetUtilization"/>: Knative's rule, but workers that
    /// start are counted.</summary>
    Concurrency,
}

/// <summary>What a pause of an endpoint means. Its workers are drained in either case.</summary>
public enum Pause
{
    None,

    /// <summary>Requests and jobs are accepted and wait, until their own time limits, for the pause to end.</summary>
    Queue,

    /// <summary>Requests are refused with 503; jobs are accepted and wait.</summary>
    Refuse,
}

/// <summary>How many workers an endpoint may have, and what decides it.</summary>
public sealed record ScalePolicy
{
    /// <summary>SLO by default: see loadtests/results for how it compares.</summary>
    public Scaler Scaler { get; init; } = Scaler.Slo;

    /// <summary>Requests a worker is meant to have (REQUEST_COUNT, CONCURRENCY); 0: the template's concurrency.</summary>
    public int Target { get; init; }

    /// <summary>The wait that QUEUE_DELAY tolerates. RunPod's default is 4 s.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>The wait for a slot that SLO aims at.</summary>
    public TimeSpan TargetWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How many of a hundred requests SLO wants to wait no longer than that.</summary>
    public int TargetPercentile { get; init; } = 95;

    /// <summary>How full CONCURRENCY wants its workers, in percent. Knative's default.</summary>
    public int TargetUtilization { get; init; } = 70;

    /// <summary>Over what time CONCURRENCY takes its mean, and how long a panic lasts. Knative's default.</summary>
    public TimeSpan StableWindow { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The short window that starts a panic. Knative's default.</summary>
    public TimeSpan PanicWindow { get; init; } = TimeSpan.FromSeconds(6);

    /// <summary>A panic is when the short window wants this many percent of what runs and starts. Knative's default.</summary>
    public int PanicThreshold { get; init; } = 200;

    public int Min { get; init; }

    public int Max { get; init; } = 3;

    /// <summary>Spare workers beside those that the demand needs, while there is any.</summary>
    public int Buffer { get; init; }

    /// <summary>Times at which at least so many workers run.</summary>
    public IReadOnlyList<ScheduledMinimum> Schedules { get; init; } = [];

    /// <summary>How long nothing must be wanted before the last worker is stopped; also for the others, unless
    /// <see cref="ScaleInDelay"/> says less.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long fewer workers must be wanted before some are stopped while others stay. Zero: with SLO ten learned
    /// starts, at most <see cref="IdleTimeout"/>; with the others <see cref="IdleTimeout"/>.</summary>
    public TimeSpan ScaleInDelay { get; init; }

    /// <summary>Workers added within one <see cref="StepInterval"/> at most; 0: as many as are wanted.</summary>
    public int MaxStep { get; init; }

    public TimeSpan StepInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Drains all workers until it is taken back.</summary>
    public Pause Pause { get; init; }

    /// <summary>Worker time (workers times how long they were up, from order to exit) that may be used in a day, which begins
    /// at 00:00 UTC; zero: no limit. When it is used up the workers are drained and requests are refused with 503.</summary>
    public TimeSpan DailyWorkerTime { get; init; }
}

/// <summary>At least so many workers from each time that a cron expression names, for a while.</summary>
public sealed record ScheduledMinimum
{
    /// <summary>When it begins: minute, hour, day of month, month, day of week; see <see cref="Autoscaling.CronSchedule"/>.</summary>
    public required string Cron { get; init; }

    /// <summary>IANA name of the time zone in which the expression is meant.</summary>
    public string TimeZone { get; init; } = "UTC";

    /// <summary>How long it lasts.</summary>
    public required TimeSpan For { get; init; }

    /// <summary>Workers that run at least; never more than <see cref="ScalePolicy.Max"/>.</summary>
    public required int Min { get; init; }
}
