using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Begins the management of pods of this host: of those that a leader orders, and of running ones that are adopted.
/// Each is managed until it has exited, whatever error occurs.
/// </summary>
public sealed class PodManager
{
    private readonly ManagedPods pods;
    private readonly PodRecords records;
    private readonly PodLifecycle lifecycle;
    private readonly PodTermination termination;
    private readonly TimeProvider time;

    internal PodManager(
        ManagedPods pods,
        PodRecords records,
        PodLifecycle lifecycle,
        PodTermination termination,
        TimeProvider time)
    {
        this.pods = pods;
        this.records = records;
        this.lifecycle = lifecycle;
        this.termination = termination;
        this.time = time;
    }

    /// <summary>This host's pods that receive requests or finish their current ones, with their addresses.</summary>
    public IEnumerable<(Pod Pod, WorkerAddress Address)> Serving => pods.All
        .Where(p => p is { Record.State: PodState.Ready or PodState.Draining, Running: not null })
        .Select(p => (p.Record, p.Running!.Address));

    /// <summary>Creates a pod id. It is random and never reused.</summary>
    public static string NewId(string endpointId) => $"{endpointId}-{Guid.NewGuid():N}"[..(endpointId.Length + 9)];

    /// <summary>Starts a pod for a leader, if Redis accepts the order. Does not wait for the start.</summary>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="fingerprint">The fingerprint of the declaration.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="holding">
    /// The pod's id and devices; null: this machine assigns no GPUs, and the pod sees those that the gateway sees.
    /// </param>
    /// <param name="ct">Cancels the call; Redis may have accepted the order by then.</param>
    public async Task<StartDecision> StartAsync(
        Deployment deployment,
        string fingerprint,
        long epoch,
        GpuAllocation? holding,
        CancellationToken ct)
    {
        var orderedAt = time.GetTimestamp();
        var record = CreateRecord(deployment, fingerprint, records.HostId, holding, time.GetUtcNow());
        // The record is stored before the start: a start without a record would be ordered twice.
        var answer = await records.OrderAsync(record, epoch, deployment.Endpoint.Scaling.Max, ct);
        if (answer != StartDecision.Taken) return answer;
        Start(record, deployment, holding?.Devices.Select(d => d.Uuid).ToList(), epoch, orderedAt);
        return answer;
    }

    /// <summary>
    /// Starts a pod that the leader of another node ordered on this host. Returns false if the order has ended or was
    /// withdrawn. Does not wait for the start.
    /// </summary>
    /// <param name="ordered">The record with the order.</param>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="devices">UUIDs of its devices; null: it sees those that the gateway sees.</param>
    /// <param name="ct">Cancels the call; the order may be taken by then.</param>
    internal async Task<bool> StartOrderedAsync(
        Pod ordered, Deployment deployment, IReadOnlyList<string>? devices, CancellationToken ct)
    {
        var orderedAt = time.GetTimestamp();
        var record = ordered with { OrderedIn = 0, Reason = "ordered" };
        if (!await records.TakeAsync(record, ct)) return false;
        Start(record, deployment, devices, ordered.OrderedIn, orderedAt);
        return true;
    }

    /// <summary>Creates the record of a pod that starts.</summary>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="fingerprint">The fingerprint of the declaration.</param>
    /// <param name="hostId">The host that starts it.</param>
    /// <param name="holding">The pod's id and devices; null: it gets an id, and no devices.</param>
    /// <param name="now">The time of the order.</param>
    internal static Pod CreateRecord(
        Deployment deployment, string fingerprint, string hostId, GpuAllocation? holding, DateTimeOffset now) => new()
        {
            Id = holding?.PodId ?? NewId(deployment.Endpoint.Id),
            Devices = [.. holding?.Devices.Select(d => d.Uuid) ?? []],
            ShareMiB = holding?.Devices.Select(d => d.ShareMiB).FirstOrDefault(),
            Node = holding?.Node,
            Gpu = holding?.Gpu,
            EndpointId = deployment.Endpoint.Id,
            Template = deployment.Template.Name,
            HostId = hostId,
            State = PodState.Starting,
            Fingerprint = fingerprint,
            StartedAt = now,
            Reason = "ordered",
        };

    /// <summary>Manages a pod that runs already.</summary>
    internal void Adopt(ManagedPod pod, RunningPod running) => Manage(pod, () => lifecycle.RunAsync(pod, running));

    private void Start(
        Pod record, Deployment deployment, IReadOnlyList<string>? devices, long epoch, long orderedAt)
    {
        var pod = new ManagedPod(record) { OrderedAt = orderedAt };
        var order = new PodSpec(deployment, pod.Id, devices)
        {
            Fingerprint = record.Fingerprint,
            Epoch = epoch,
            ShareMiB = record.ShareMiB,
            Node = record.Node,
        };
        Manage(pod, () => lifecycle.StartAsync(pod, order, orderedAt));
    }

    private void Manage(ManagedPod pod, Func<Task<string>> life)
    {
        pods.Add(pod);
        // Runs outside the exclusive scheduler of the reconciler's loop, which calls this method.
        pod.Life = Task.Run(
            async () => await termination.RecordAsync(pod, await lifecycle.CompleteAsync(pod, life)),
            CancellationToken.None);
    }
}
