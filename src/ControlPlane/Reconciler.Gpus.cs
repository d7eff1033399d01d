using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Domain.Scaling;
using Sluice.Hosting;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane;

/// <summary>
/// The leader's work for workers that need devices: all requests of one round are placed together, so that priorities
/// and fair shares apply.
/// </summary>
public sealed partial class Reconciler
{
    /// <summary>
    /// Moves the starts from a plan to a device request. They are ordered after all endpoints of the round have made
    /// their requests.
    /// </summary>
    private FleetPlan RequestDevices(
        Deployment deployment,
        string fingerprint,
        long epoch,
        FleetPlan plan,
        FleetSnapshot look,
        EndpointSnapshot snapshot)
    {
        if (plan.Start == 0)
        {
            gpus.CancelRequest(deployment.Endpoint.Id);
            return plan;
        }

        var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
        var outdated = look.Pods.Where(p => p.Fingerprint != fingerprint && p.State != PodState.Failed).ToList();
        var drains = outdated.Any(p =>
            p.State is PodState.Draining or PodState.Stopping || look.Drain.Contains(p.Id));
        var replaceable = outdated.Where(p => p.State == PodState.Ready)
            .OrderBy(p => leased.GetValueOrDefault(p.Id))
            .Select(p => p.Id);
        gpus.RequestDevices(new PendingGpuStarts(deployment, fingerprint, epoch, plan.Start, plan.Scale.Because,
            drains ? [] : [.. replaceable]));
        return plan with { Start = 0 };
    }

    /// <summary>
    /// Drains the pods whose claims were lost and whose devices are assigned to another pod: two pods that each assume
    /// exclusive use of a GPU would both fail.
    /// </summary>
    private FleetPlan DrainPodsWithoutClaim(
        FleetPlan plan,
        IReadOnlyList<string> lost,
        string endpointId,
        FleetSnapshot look)
    {
        if (lost.Count == 0) return plan;
        foreach (var pod in lost.Where(p => !look.Drain.Contains(p))) Robbed(pod, endpointId);
        return plan with { Drain = [.. plan.Drain.Union(lost)], Resume = [.. plan.Resume.Except(lost)] };
    }

    /// <summary>
    /// Starts the workers that can be placed, and stores for all others why they wait. Devices that were allocated to
    /// an endpoint outside this round stay free: the endpoint is woken, because its requirements may have changed.
    /// </summary>
    private async Task PlaceAsync(HashSet<string> looked, CancellationToken ct)
    {
        if (leads == 0) return;
        foreach (var (order, placed) in gpus.Place(fleet.Holdings))
        {
            var granted = placed.Where(p => p.Refusal is null).ToList();
            if (!looked.Contains(order.EndpointId))
            {
                if (granted.Count > 0) Wake(order.EndpointId);
                continue;
            }

            var started = 0;
            foreach (var grant in granted)
            {
                if (!await StartPlacedAsync(order, grant, ct)) break;
                started++;
            }

            gpus.RecordStarted(order, started);
            if (started > 0) await StoreDecisionAsync(order, started, ct);
            await HandleRefusedAsync(order, [.. placed.Where(p => p.Refusal is not null)], ct);
        }
    }

    /// <summary>Stores the decision of this round with the number of workers that were started.</summary>
    private async Task StoreDecisionAsync(PendingGpuStarts order, int started, CancellationToken ct)
    {
        Placed(order.EndpointId, started, order.Because);
        if (keepers.TryGetValue(order.EndpointId, out var keeper) && keeper.Noted is { } noted)
        {
            var record = noted with { Start = started };
            await decisions.PublishAsync(order.EndpointId, order.Epoch, record, keeper.Scale, ct);
        }
    }

    private async Task<bool> StartPlacedAsync(PendingGpuStarts order, Placed grant, CancellationToken ct)
    {
        var holding = new GpuAllocation(PodManager.NewId(order.EndpointId), order.EndpointId, grant.Devices);
        if (!await gpus.ClaimAsync(holding, ct)) return false;
        var answer = await fleet.StartAsync(order.Deployment, order.Fingerprint, order.Epoch, holding, ct);
        if (answer == StartDecision.Stale) leadership.RecordLost(order.Epoch);
        if (answer != StartDecision.Taken) await gpus.ReleaseAsync([holding.PodId], ct);
        return answer == StartDecision.Taken;
    }

    /// <summary>
    /// Stores why the refused workers wait. If only pods of an earlier declaration occupy the devices of their
    /// successors, one of them drains: otherwise a fully used machine could never change to a new declaration.
    /// </summary>
    private async Task HandleRefusedAsync(PendingGpuStarts order, List<Placed> refused, CancellationToken ct)
    {
        var (id, keeper) = (order.EndpointId, keepers.GetOrAdd(order.EndpointId, _ => new EndpointReconcileState()));
        var why = refused.Select(p => p.Refusal!).FirstOrDefault();
        var wait = why is null ? null : new GpuWait(id, refused.Count, keeper.Wait?.Since ?? time.GetUtcNow(),
            why.Never, why.Part, why.Reason, why.WouldFit);
        await StoreWaitAsync(id, keeper, wait, ct);
        var snapshot = await slots.SnapshotAsync(id, ct);
        await UpdateBlockAsync(order.Deployment.Endpoint, keeper, snapshot.Workers.Count > 0, snapshot, ct);
        if (why is not { Never: false }) return;
        if (order.Replaceable.Count > 0 && await store.SetDrainAsync(id, order.Epoch, [order.Replaceable[0]], [], ct))
            Wake(id);
        foreach (var pod in gpus.Reclaimable(order, [.. keepers.Values], fleet.Holdings))
            if (keepers.TryGetValue(pod.EndpointId, out var other)
                && await store.SetDrainAsync(pod.EndpointId, order.Epoch, [pod.PodId], [], ct))
            {
                other.Reclaimed.Add(pod.PodId);
                MakesRoom(pod.PodId, pod.EndpointId, id);
                Wake(pod.EndpointId);
            }
    }

    /// <summary>
    /// Records which workers can be drained in favor of other endpoints: idle ones above the minimum, while no request
    /// of their own endpoint waits.
    /// </summary>
    private static void NoteSpare(Endpoint endpoint, EndpointReconcileState keeper, FleetSnapshot look, EndpointSnapshot snapshot)
    {
        bool Leaves(Pod p) => p.State is PodState.Draining or PodState.Stopping || look.Drain.Contains(p.Id);
        var idle = snapshot.Workers.Where(w => w.Leased == 0).Select(w => w.PodId).ToHashSet();
        var staying = look.Pods.Where(p => p.State is PodState.Starting or PodState.Ready && !Leaves(p)).ToList();
        keeper.Leaving = look.Pods.Where(p => p.State != PodState.Failed && Leaves(p)).Select(p => p.Id).ToHashSet();
        keeper.Reclaimed.IntersectWith(look.Pods.Select(p => p.Id));
        var spare = staying.Where(p => p.State == PodState.Ready && idle.Contains(p.Id)).Reverse()
            .Take(Math.Max(0, staying.Count - endpoint.Scaling.Min))
            .Select(p => new SparePod(p.Id, endpoint.Id, endpoint.Placement.Priority));
        keeper.Spare = snapshot.Queued > 0 ? [] : [.. spare];
    }

    private async Task StoreWaitAsync(string endpointId, EndpointReconcileState keeper, GpuWait? wait, CancellationToken ct)
    {
        keeper.Wait = wait;
        if (keeper.StoredWait == (leads, wait)) return;
        if (wait is not null && wait.Reason != keeper.StoredWait.Wait?.Reason)
            Waits(endpointId, wait.Workers, wait.Text);
        await gpuStore.SetWaitAsync(endpointId, wait, ct);
        keeper.StoredWait = (leads, wait);
    }

    private IEnumerable<Measurement<int>> MeasureWaiting() => !leadership.IsLeader ? [] : keepers
        .Where(k => k.Value.Wait is not null)
        .Select(k => new Measurement<int>(k.Value.Wait?.Workers ?? 0, KeyValuePair.Create("endpoint", (object?)k.Key)));

    /// <summary>
    /// Returns the holding of a pod without a GPU request: no devices; null: the pod sees those that the gateway sees.
    /// </summary>
    private GpuAllocation? WithoutDevices(Deployment deployment) =>
        DeviceEnvironment.Decides(deployment, catalog.Current.Deployments)
            ? new GpuAllocation(PodManager.NewId(deployment.Endpoint.Id), deployment.Endpoint.Id, [])
            : null;

    [LoggerMessage(LogLevel.Information, "Endpoint {Endpoint} starts {Count} workers on assigned devices: {Because}")]
    private partial void Placed(string endpoint, int count, string because);

    [LoggerMessage(LogLevel.Information,
        "Worker {Worker} of {Endpoint} is idle and makes room for {Other}, which has a higher priority")]
    private partial void MakesRoom(string worker, string endpoint, string other);

    [LoggerMessage(LogLevel.Error,
        "Worker {Worker} of {Endpoint} drains: its GPU claim was lost and the GPU is assigned to another worker")]
    private partial void Robbed(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Endpoint {Endpoint} has {Count} workers that wait for devices: {Why}")]
    private partial void Waits(string endpoint, int count, string why);
}
