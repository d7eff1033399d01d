namespace Sluice.Domain.Scaling;

/// <summary>The load of one endpoint and the state of its workers at one moment.</summary>
/// <param name="Queued">Waiting requests.</param>
/// <param name="OldestWait">How long the oldest of them has waited.</param>
/// <param name="Busy">Maximum number of concurrently running requests since the previous pass.</param>
/// <param name="Completed">Counter of the requests that have ended. It makes requests visible that start and end
/// between two passes.</param>
/// <param name="Ready">Workers that accept requests.</param>
/// <param name="Starting">Workers that were started and are not ready yet. They count as capacity.</param>
/// <param name="SlotsPerWorker">Concurrent requests per worker.</param>
public readonly record struct LoadSnapshot(
    int Queued, TimeSpan OldestWait, int Busy, long Completed, int Ready, int Starting, int SlotsPerWorker)
{
    /// <summary>Total time that slots have been in use, a counter like <see cref="Completed"/>.</summary>
    public TimeSpan Served { get; init; }

    /// <summary>Tokens that running texts may use at their workers, prompts and answers.</summary>
    public long TokensInFlight { get; init; }

    /// <summary>Tokens that waiting texts may use, estimated from the first of them.</summary>
    public long TokensWaiting { get; init; }

    /// <summary>Tokens that a worker can hold; 0: no worker reports it now.</summary>
    public long TokensPerWorker { get; init; }

    /// <summary>Mean time since the start of the workers that are not ready yet.</summary>
    public TimeSpan StartingFor { get; init; }

    /// <summary>Time from start to ready of the worker that became ready last; null if no worker is ready.</summary>
    public TimeSpan? LastStart { get; init; }

    /// <summary>When that worker became ready.</summary>
    public DateTimeOffset LastReadyAt { get; init; }

    /// <summary>
    /// Worker time since the previous pass of all live workers, including draining and outdated ones.
    /// </summary>
    public TimeSpan WorkerTime { get; init; }

    /// <summary>Workers of an earlier declaration that accept requests until their successors are ready.</summary>
    public int Outdated { get; init; }

    /// <summary>Workers that are ready or starting.</summary>
    public int Current => Ready + Starting;

    /// <summary>
    /// Counter of the requests that have arrived, without rejected ones: ended, running and waiting requests.
    /// </summary>
    public long Arrived => Completed + Busy + Queued;
}
