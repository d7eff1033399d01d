using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>Defines how many workers an endpoint may have, and which rule decides the number.</summary>
public sealed record ScalePolicy
{
    /// <summary>The scaler. The default is SLO; loadtests/results compares it with the others.</summary>
    public Scaler Scaler { get; init; } = Scaler.Slo;

    /// <summary>
    /// Target number of concurrent requests per worker (REQUEST_COUNT, CONCURRENCY). 0: the concurrency of the
    /// template.
    /// </summary>
    public int Target { get; init; }

    /// <summary>Maximum wait of the oldest request (QUEUE_DELAY). RunPod's default is 4 s.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>Target wait for a slot (SLO).</summary>
    public TimeSpan TargetWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Percentage of requests that should wait no longer than <see cref="TargetWait"/> (SLO).</summary>
    public int TargetPercentile { get; init; } = 95;

    /// <summary>
    /// Tokens of prompts and answers that a worker should hold (TOKENS). 0: <see cref="TargetUtilization"/> of what it
    /// can hold.
    /// </summary>
    public long TargetTokens { get; init; }

    /// <summary>
    /// Target utilization of a worker in percent: of its slots (CONCURRENCY; Knative's default), or of the tokens that
    /// it can hold (TOKENS).
    /// </summary>
    public int TargetUtilization { get; init; } = 70;

    /// <summary>Window of the mean, and minimum duration of a panic (CONCURRENCY). Knative's default.</summary>
    public TimeSpan StableWindow { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The short window that starts a panic. Knative's default.</summary>
    public TimeSpan PanicWindow { get; init; } = TimeSpan.FromSeconds(6);

    /// <summary>
    /// A panic starts when the short window requires this percentage of the running and starting workers. Knative's
    /// default.
    /// </summary>
    public int PanicThreshold { get; init; } = 200;

    public int Min { get; init; }

    public int Max { get; init; } = 3;

    /// <summary>Additional workers while there is a demand.</summary>
    public int Buffer { get; init; }

    /// <summary>Scheduled minimum numbers of workers.</summary>
    public IReadOnlyList<ScheduledMinimum> Schedules { get; init; } = [];

    /// <summary>
    /// How long no worker must be wanted before the last worker stops. It also applies to the other workers, unless
    /// <see cref="ScaleInDelay"/> is set.
    /// </summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long fewer workers must be wanted before some stop while others keep running. Zero: with SLO ten learned
    /// starts, at most <see cref="IdleTimeout"/>; with the other scalers <see cref="IdleTimeout"/>.
    /// </summary>
    public TimeSpan ScaleInDelay { get; init; }

    /// <summary>Maximum number of workers added within one <see cref="StepInterval"/>. 0: no limit.</summary>
    public int MaxStep { get; init; }

    /// <summary>The interval of <see cref="MaxStep"/>.</summary>
    public TimeSpan StepInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Drains all workers until the pause ends.</summary>
    public Pause Pause { get; init; }

    /// <summary>
    /// Maximum worker time per day from 00:00 UTC: the sum over all workers of the time from start to exit. Zero: no
    /// limit. When the limit is reached, the workers are drained and requests are rejected with 503.
    /// </summary>
    public TimeSpan DailyWorkerTime { get; init; }
}
