namespace Sluice.Domain.Scaling;

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

    /// <summary>
    /// Tokens that a worker can hold, as the last workers reported; 0: not known. It is kept while no worker runs.
    /// </summary>
    public long TokensPerWorker { get; init; }

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
