namespace Sluice.Core.Autoscaling;

/// <summary>What one endpoint asks of its workers now, and what has become of those it has.</summary>
/// <param name="Queued">Requests that wait.</param>
/// <param name="OldestWait">How long the oldest of them has waited.</param>
/// <param name="Busy">Most requests at workers at once since the last look.</param>
/// <param name="Completed">Requests that ended so far; a growing counter, so that short ones between two looks show.</param>
/// <param name="Ready">Workers that take requests.</param>
/// <param name="Starting">Workers ordered that do not answer yet: capacity all the same.</param>
/// <param name="SlotsPerWorker">Requests one worker takes at once.</param>
public readonly record struct Load(int Queued, TimeSpan OldestWait, int Busy, long Completed, int Ready, int Starting,
    int SlotsPerWorker)
{
    /// <summary>How long slots were in use so far, summed over slots; a growing counter like <see cref="Completed"/>.</summary>
    public TimeSpan Served { get; init; }

    /// <summary>How long the starting workers have been starting, on average.</summary>
    public TimeSpan StartingFor { get; init; }

    /// <summary>How long the worker that became ready last took from its order; null: none is up.</summary>
    public TimeSpan? LastStart { get; init; }

    /// <summary>When that one became ready.</summary>
    public DateTimeOffset LastReadyAt { get; init; }

    /// <summary>Worker time that every worker alive has used since the last look, draining and outdated ones too.</summary>
    public TimeSpan WorkerTime { get; init; }

    /// <summary>Workers of an earlier declaration that take requests until their successors are ready.</summary>
    public int Outdated { get; init; }

    /// <summary>Workers that run or start.</summary>
    public int Current => Ready + Starting;

    /// <summary>Requests that came so far, up to those that were refused: the ended, the running and the waiting ones.</summary>
    public long Arrived => Completed + Busy + Queued;
}
