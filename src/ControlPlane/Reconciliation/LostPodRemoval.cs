using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Removes the pods of lost hosts, and those whose process has ended: if the gateways of one machine fail one after
/// another, the removal does not have to wait until each host's lease expires. Only the reconciler's loop uses it.
/// </summary>
internal sealed partial class LostPodRemoval
{
    private readonly IPodHost podHost;
    private readonly PodRecords records;
    private readonly UnmanagedPodSearch search;
    private readonly GpuInventory inventory;
    private readonly TimeProvider time;
    private readonly ILogger<LostPodRemoval> logger;
    private readonly PodLivenessProber prober;

    /// <summary>Endpoint -> the pods that did not run in the last round, and the epoch of that round.</summary>
    private readonly Dictionary<string, (long Epoch, HashSet<string> Pods)> deadBefore = [];

    public LostPodRemoval(
        IPodHost podHost,
        PodRecords records,
        UnmanagedPodSearch search,
        GpuInventory inventory,
        TimeProvider time,
        ILogger<LostPodRemoval> logger)
    {
        this.podHost = podHost;
        this.records = records;
        this.search = search;
        this.inventory = inventory;
        this.time = time;
        this.logger = logger;
        // An exception that the host throws before its first wait is a failed call too.
        prober = new PodLivenessProber(async (podId, ct) => await podHost.IsRunningAsync(podId, ct), HostStateUnknown);
    }

    /// <summary>Removes the lost pods of an endpoint. Returns the endpoint's pods without them.</summary>
    public async Task<FleetSnapshot> RemoveAsync(
        EndpointObservation observed,
        IReadOnlySet<string> living,
        CancellationToken ct)
    {
        var (id, epoch, fleet, now) = (observed.EndpointId, observed.Epoch, observed.Fleet, time.GetUtcNow());
        var here = inventory.Current.Gpus.SelectMany(g => g.Slices.Select(s => s.Uuid).Prepend(g.Uuid)).ToHashSet();
        // Open orders are withdrawn instead.
        var others = fleet.Pods.Where(p => p.HostId != records.HostId && !p.IsOrdered).ToDictionary(p => p, IsRunning);
        var dead = others.Where(p => p.Value == false).Select(p => p.Key.Id).ToHashSet();
        // In the first round of a new leader, one observation is enough: the previous leader observed the pods too, and
        // is lost.
        var isNext = deadBefore.TryGetValue(id, out var last) && last.Epoch == epoch;
        var before = isNext ? last.Pods : epoch > 0 ? dead : [];
        deadBefore[id] = (epoch, dead);
        var draining = observed.Dispatch.Workers.Where(w => w.Draining).Select(w => w.PodId).ToHashSet();
        var startTimeout = observed.Deployment?.Template.StartTimeout ?? TimeSpan.Zero;
        var lost = new LostPodPolicy(living, before, draining, here, startTimeout, podHost.IsShared);
        if (podHost.IsShared && others.Keys.Any(p => !living.Contains(p.HostId) && p.State != PodState.Failed))
            search.SearchSoon();
        var gone = others.Where(p => lost.IsLost(p.Key, p.Value, now)).Select(p => p.Key.Id).ToHashSet();
        foreach (var pod in fleet.Pods.Where(p => gone.Contains(p.Id)))
        {
            LostWorkerRemoved(pod.Id, id, pod.HostId);
            await records.RemoveAsync(pod, ct);
        }

        return fleet with { Pods = [.. fleet.Pods.Where(p => !gone.Contains(p.Id))] };

        bool? IsRunning(Pod pod)
        {
            if (ProcessIdentity.IsRunning(pod.Mark) is { } runs) return runs;
            var asksHost = !living.Contains(pod.HostId)
                && (podHost.IsShared || pod.Devices.Any(here.Contains));
            return asksHost ? prober.IsRunning(pod.Id, now, ct) : null;
        }
    }

    /// <summary>Discards what was observed about an undeclared endpoint.</summary>
    public void Forget(string endpointId) => deadBefore.Remove(endpointId);

    /// <summary>Discards what was observed about all endpoints, because this gateway does not lead.</summary>
    public void ForgetAll() => deadBefore.Clear();

    /// <summary>Discards the results of calls to the host that no round has fetched.</summary>
    public void DiscardOldCalls() => prober.DiscardOld(time.GetUtcNow());

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} removed: it was lost with its host {Host}")]
    private partial void LostWorkerRemoved(string worker, string endpoint, string host);

    [LoggerMessage(LogLevel.Warning,
        "State of a silent gateway's workers on this host is unknown, and their GPUs stay allocated: {Error}")]
    private partial void HostStateUnknown(string error);
}
