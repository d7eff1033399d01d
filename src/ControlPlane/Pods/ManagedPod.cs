using Sluice.Domain.Fleet;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Pods;

/// <summary>A pod of this host: its record, which is stored in Redis, and the running process or container.</summary>
internal sealed class ManagedPod(Pod record)
{
    private readonly Lock gate = new();
    private readonly TaskCompletionSource stopRequested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Pod record = record;

    public string Id => record.Id;

    public string EndpointId => record.EndpointId;

    /// <summary>
    /// Serializes writes of the record to Redis, so that an older record never overwrites a newer one.
    /// </summary>
    public SemaphoreSlim Writing { get; } = new(1);

    public Pod Record
    {
        get
        {
            lock (gate) return record;
        }
    }

    /// <summary>Timestamp of the order; null: the pod was found running.</summary>
    public long? OrderedAt { get; init; }

    /// <summary>The running process or container; null until it has started.</summary>
    public RunningPod? Running { get; set; }

    /// <summary>Completes when the pod's life cycle has ended.</summary>
    public Task Life { get; set; } = Task.CompletedTask;

    public DateTimeOffset? DrainingSince { get; set; }

    /// <summary>Consecutive failed probes after gateways reported the pod as unreachable.</summary>
    public int Unanswered { get; set; }

    /// <summary>
    /// Number of lines that the pod had written when its last lines were stored, and the timestamp of that. Only the
    /// round of its endpoint changes them.
    /// </summary>
    public long StoredLines { get; set; }

    public long? OutputStoredAt { get; set; }

    /// <summary>Completes when the last call that kills the unresponsive pod has returned.</summary>
    public Task Killing { get; set; } = Task.CompletedTask;

    /// <summary>Completes when the pod is requested to stop: an exit after that is not a failure.</summary>
    public Task StopRequested => stopRequested.Task;

    /// <summary>Requests the pod to stop. Returns true for the first caller.</summary>
    public bool RequestStop() => stopRequested.TrySetResult();

    /// <summary>Completes when another gateway manages the pod: it keeps running.</summary>
    public Task Released => released.Task;

    /// <summary>Ends the management of the pod by this gateway, and not the pod.</summary>
    public void Release() => released.TrySetResult();

    /// <summary>Changes the record if it is in one of the given states. Returns whether it was.</summary>
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
