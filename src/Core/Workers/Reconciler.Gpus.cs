using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;

namespace Sluice.Core.Workers;

/// <summary>The leader's part for workers that need devices: all that one round wants are placed together, so that priority and fair shares hold.</summary>
public sealed partial class Reconciler
{
    /// <summary>Takes the starts out of a plan: they are ordered when every endpoint of the round has said what it wants.</summary>
    private FleetPlan Want(Deployment deployment, string fingerprint, long epoch, FleetPlan plan, FleetLook look, EndpointSnapshot snapshot)
    {
        if (plan.Start == 0)
        {
            gpus.Withdraw(deployment.Endpoint.Id);
            return plan;
        }

        var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
        var outdated = look.Pods.Where(p => p.Fingerprint != fingerprint && p.State != PodState.Failed).ToList();
        var leaves = outdated.Any(p => p.State is PodState.Draining or PodState.Stopping || look.Drain.Contains(p.Id));
        gpus.Want(new GpuOrder(deployment, fingerprint, epoch, plan.Start, plan.Scale.Because,
            leaves ? [] : [.. outdated.Where(p => p.State == PodState.Ready).OrderBy(p => leased.GetValueOrDefault(p.Id)).Select(p => p.Id)]));
        return plan with { Start = 0 };
    }

    /// <summary>Pods whose claims were lost and whose devices others were given meanwhile go: two that each believe to have a GPU alone would both fail.</summary>
    private FleetPlan WithoutRobbed(FleetPlan plan, IReadOnlyList<string> robbed, string endpointId, FleetLook look)
    {
        if (robbed.Count == 0) return plan;
        foreach (var pod in robbed.Where(p => !look.Drain.Contains(p))) Robbed(pod, endpointId);
        return plan with { Drain = [.. plan.Drain.Union(robbed)], Resume = [.. plan.Resume.Except(robbed)] };
    }

    /// <summary>Starts what can be placed, and says of the rest why it waits. Devices that fell to an endpoint that was not looked at in this round are
    /// left for it: it is woken, and may have changed its mind.</summary>
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

            gpus.Started(order, started);
            if (started > 0) await TellPlacedAsync(order, started, ct);
            await RefuseAsync(order, [.. placed.Where(p => p.Refusal is not null)], ct);
        }
    }

    /// <summary>The decision of this round, now that it could be carried out.</summary>
    private async Task TellPlacedAsync(GpuOrder order, int started, CancellationToken ct)
    {
        Placed(order.EndpointId, started, order.Because);
        if (keepers.TryGetValue(order.EndpointId, out var keeper) && keeper.Noted is { } noted)
            await decisions.PublishAsync(order.EndpointId, order.Epoch, noted with { Start = started }, keeper.Scale, ct);
    }

    private async Task<bool> StartPlacedAsync(GpuOrder order, Placed grant, CancellationToken ct)
    {
        var holding = new GpuHolding(PodFleet.NewId(order.EndpointId), order.EndpointId, grant.Devices);
        if (!await gpus.ClaimAsync(holding, ct)) return false;
        var answer = await fleet.StartAsync(order.Deployment, order.Fingerprint, order.Epoch, holding, ct);
        if (answer == OrderAnswer.Stale) leadership.Lost(order.Epoch);
        if (answer != OrderAnswer.Taken) await gpus.ReleaseAsync([holding.PodId], ct);
        return answer == OrderAnswer.Taken;
    }

    /// <summary>Tells why the rest waits. Where only pods of an earlier declaration are in the way of their successors, one of them makes room: a machine
    /// that is full could never be brought to a new declaration otherwise.</summary>
    private async Task RefuseAsync(GpuOrder order, List<Placed> refused, CancellationToken ct)
    {
        var (id, keeper) = (order.EndpointId, keepers.GetOrAdd(order.EndpointId, _ => new EndpointKeeper()));
        var why = refused.Select(p => p.Refusal!).FirstOrDefault();
        await TellWaitAsync(id, keeper, why is null ? null
            : new GpuWait(id, refused.Count, keeper.Wait?.Since ?? time.GetUtcNow(), why.Never, why.Part, why.Reason, why.WouldFit), ct);
        var snapshot = await slots.SnapshotAsync(id, ct);
        await UpdateBlockAsync(order.Deployment.Endpoint, keeper, snapshot.Workers.Count > 0, snapshot, ct);
        if (why is not { Never: false }) return;
        if (order.Replaceable.Count > 0 && await store.OrderAsync(id, order.Epoch, [order.Replaceable[0]], [], ct)) Wake(id);
        foreach (var pod in gpus.Reclaimable(order, [.. keepers.Values], fleet.Holdings))
            if (keepers.TryGetValue(pod.EndpointId, out var other) && await store.OrderAsync(pod.EndpointId, order.Epoch, [pod.PodId], [], ct))
            {
                other.Reclaimed.Add(pod.PodId);
                MakesRoom(pod.PodId, pod.EndpointId, id);
                Wake(pod.EndpointId);
            }
    }

    /// <summary>Notes which workers could make room for others: idle ones above the minimum, while nothing waits for them.</summary>
    private static void NoteSpare(Endpoint endpoint, EndpointKeeper keeper, FleetLook look, EndpointSnapshot snapshot)
    {
        bool Leaves(Pod p) => p.State is PodState.Draining or PodState.Stopping || look.Drain.Contains(p.Id);
        var idle = snapshot.Workers.Where(w => w.Leased == 0).Select(w => w.PodId).ToHashSet();
        var staying = look.Pods.Where(p => p.State is PodState.Starting or PodState.Ready && !Leaves(p)).ToList();
        keeper.Leaving = look.Pods.Where(p => p.State != PodState.Failed && Leaves(p)).Select(p => p.Id).ToHashSet();
        keeper.Reclaimed.IntersectWith(look.Pods.Select(p => p.Id));
        keeper.Spare = snapshot.Queued > 0 ? [] : [.. staying.Where(p => p.State == PodState.Ready && idle.Contains(p.Id)).Reverse()
            .Take(Math.Max(0, staying.Count - endpoint.Scaling.Min)).Select(p => new SparePod(p.Id, endpoint.Id, endpoint.Placement.Priority))];
    }

    private async Task TellWaitAsync(string endpointId, EndpointKeeper keeper, GpuWait? wait, CancellationToken ct)
    {
        keeper.Wait = wait;
        if (keeper.ToldWait == (leads, wait)) return;
        if (wait is not null && wait.Reason != keeper.ToldWait.Wait?.Reason) Waits(endpointId, wait.Workers, wait.Text);
        await gpuStore.SetWaitAsync(endpointId, wait, ct);
        keeper.ToldWait = (leads, wait);
    }

    private IEnumerable<Measurement<int>> MeasureWaiting() => !leadership.IsLeader ? [] : keepers.Where(k => k.Value.Wait is not null)
        .Select(k => new Measurement<int>(k.Value.Wait?.Workers ?? 0, KeyValuePair.Create("endpoint", (object?)k.Key)));

    /// <summary>What a pod without needs has of the GPUs; null: what the gateway has.</summary>
    private GpuHolding? WithoutDevices(Deployment deployment) => DeviceEnvironment.Decides(deployment, catalog.Current.Deployments)
        ? new GpuHolding(PodFleet.NewId(deployment.Endpoint.Id), deployment.Endpoint.Id, []) : null;

    [LoggerMessage(LogLevel.Information, "Endpoint {Endpoint}: {Count} workers were given devices and start: {Because}")]
    private partial void Placed(string endpoint, int count, string because);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is idle and makes room for {Other}, whose priority is higher")]
    private partial void MakesRoom(string worker, string endpoint, string other);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} has a GPU that another worker was given meanwhile: it goes")]
    private partial void Robbed(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Endpoint {Endpoint}: {Count} workers wait for devices: {Why}")]
    private partial void Waits(string endpoint, int count, string why);
}
