using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;

namespace Sluice.ControlPlane.Gpus;

/// <summary>
/// Moves the starts of workers that need devices from an endpoint's plan to a request: all requests of one round are
/// placed together, so that priorities and fair shares apply.
/// </summary>
internal sealed partial class GpuRequests(GpuAllocator gpus, ILogger<GpuRequests> logger)
{
    private readonly ILogger<GpuRequests> logger = logger;

    /// <summary>Whether an endpoint has a request.</summary>
    public bool HasRequest(string endpointId) => gpus.HasRequest(endpointId);

    /// <summary>
    /// Reconciles an endpoint's claims with its pods, and updates its request. Returns the plan without the starts that
    /// wait for devices.
    /// </summary>
    public async Task<FleetPlan> ApplyAsync(DeclaredEndpoint endpoint, FleetPlan plan, CancellationToken ct)
    {
        var lost = await gpus.ReconcileClaimsAsync(endpoint.Id, endpoint.Fleet.Pods, ct);
        plan = DrainPodsWithoutClaim(endpoint, plan, lost);
        if (endpoint.Deployment.Template.Gpu is null)
        {
            gpus.CancelRequest(endpoint.Id);
            return plan;
        }

        NoteSpare(endpoint);
        plan = plan with { Resume = [.. plan.Resume.Where(p => !endpoint.State.Reclaimed.Contains(p))] };
        return RequestDevices(endpoint, plan);
    }

    /// <summary>Releases the claims of pods that no longer run, and the request of an undeclared endpoint.</summary>
    public async Task CancelAsync(string endpointId, IReadOnlyList<Pod> pods, CancellationToken ct)
    {
        await gpus.ReconcileClaimsAsync(endpointId, pods, ct);
        gpus.CancelRequest(endpointId);
    }

    /// <summary>
    /// Moves the starts from a plan to a device request. They are ordered after all endpoints of the round have made
    /// their requests.
    /// </summary>
    private FleetPlan RequestDevices(DeclaredEndpoint endpoint, FleetPlan plan)
    {
        if (plan.Start == 0)
        {
            gpus.CancelRequest(endpoint.Id);
            return plan;
        }

        var leased = endpoint.Dispatch.Workers.ToDictionary(w => w.PodId, w => w.Leased);
        var outdated = endpoint.Fleet.Pods
            .Where(p => p.Fingerprint != endpoint.Fingerprint && p.State != PodState.Failed)
            .ToList();
        var drains = outdated.Any(p => Leaves(endpoint.Fleet, p));
        var replaceable = outdated.Where(p => p.State == PodState.Ready)
            .OrderBy(p => leased.GetValueOrDefault(p.Id))
            .Select(p => p.Id);
        gpus.RequestDevices(new PendingGpuStarts(endpoint.Deployment, endpoint.Fingerprint, endpoint.Epoch, plan.Start,
            plan.Scale.Because, drains ? [] : [.. replaceable])
        {
            FailingHosts = endpoint.State.NodeFailures.Hosts(endpoint.Now),
        });
        return plan with { Start = 0 };
    }

    /// <summary>
    /// Drains the pods whose claims were lost and whose devices are assigned to another pod: two pods that each assume
    /// exclusive use of a GPU would both fail.
    /// </summary>
    private FleetPlan DrainPodsWithoutClaim(DeclaredEndpoint endpoint, FleetPlan plan, IReadOnlyList<string> lost)
    {
        if (lost.Count == 0) return plan;
        foreach (var pod in lost.Where(p => !endpoint.Fleet.Drain.Contains(p))) LostGpuClaim(pod, endpoint.Id);
        return plan with { Drain = [.. plan.Drain.Union(lost)], Resume = [.. plan.Resume.Except(lost)] };
    }

    /// <summary>
    /// Records which workers can be drained in favor of other endpoints: idle ones above the minimum, while no request
    /// of their own endpoint waits.
    /// </summary>
    private static void NoteSpare(DeclaredEndpoint endpoint)
    {
        var (state, pods, declared) = (endpoint.State, endpoint.Fleet.Pods, endpoint.Deployment.Endpoint);
        var idle = endpoint.Dispatch.Workers.Where(w => w.Leased == 0).Select(w => w.PodId).ToHashSet();
        var staying = pods
            .Where(p => p.State is PodState.Starting or PodState.Ready && !Leaves(endpoint.Fleet, p))
            .ToList();
        state.Leaving = pods
            .Where(p => p.State != PodState.Failed && Leaves(endpoint.Fleet, p))
            .Select(p => p.Id)
            .ToHashSet();
        state.Reclaimed.IntersectWith(pods.Select(p => p.Id));
        var spare = staying.Where(p => p.State == PodState.Ready && idle.Contains(p.Id)).Reverse()
            .Take(Math.Max(0, staying.Count - declared.Scaling.Min))
            .Select(p => new SparePod(p.Id, endpoint.Id, declared.Placement.Priority));
        state.Spare = endpoint.Dispatch.Queued > 0 ? [] : [.. spare];
    }

    private static bool Leaves(FleetSnapshot fleet, Pod pod) =>
        pod.State is PodState.Draining or PodState.Stopping || fleet.Drain.Contains(pod.Id);

    [LoggerMessage(LogLevel.Error,
        "Worker {Worker} of {Endpoint} drains: its GPU claim was lost and the GPU is assigned to another worker")]
    private partial void LostGpuClaim(string worker, string endpoint);
}
