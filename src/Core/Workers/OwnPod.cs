namespace Sluice.Core.Workers;

/// <summary>A pod of this host: its record as others see it, and what runs.</summary>
internal sealed class OwnPod(Pod record)
{
    private readonly Lock gate = new();
    private readonly TaskCompletionSource stopWanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Pod record = record;

    public string Id => record.Id;

    public string EndpointId => record.EndpointId;

    /// <summary>One writer at a time brings the record to Redis, so that an old one never comes last.</summary>
    public SemaphoreSlim Writing { get; } = new(1);

    public Pod Record
    {
        get
        {
            lock (gate) return record;
        }
    }

    /// <summary>Timestamp of when it was ordered; null: it was found running.</summary>
    public long? Asked { get; init; }

    /// <summary>What runs; null until it was started.</summary>
    public RunningPod? Running { get; set; }

    /// <summary>Ends with the pod's life.</summary>
    public Task Life { get; set; } = Task.CompletedTask;

    public DateTimeOffset? DrainingSince { get; set; }

    /// <summary>Probes in a row that it did not answer though gateways had called it unreachable.</summary>
    public int Unanswered { get; set; }

    /// <summary>Lines that it had written when its last lines were stored, and when that was. Its owner is the look at its endpoint.</summary>
    public long LinesTold { get; set; }

    public long? OutputTold { get; set; }

    /// <summary>Ends with the last call to its host that was to kill it because it hangs.</summary>
    public Task Killing { get; set; } = Task.CompletedTask;

    /// <summary>Ends when it should stop: its exit then is no failure.</summary>
    public Task StopWanted => stopWanted.Task;

    /// <summary>True for the first caller.</summary>
    public bool WantStop() => stopWanted.TrySetResult();

    /// <summary>Changes the record when it is in one of these states; true when it was.</summary>
    public bool TryMove(Func<Pod, Pod> change, params ReadOnlySpan<PodState> from)
    {
        lock (gate)
        {
            if (!from.Contains(record.State)) return false;
            record = change(record);
            return true;
        }
    }
}
