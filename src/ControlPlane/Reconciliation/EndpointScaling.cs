using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>The leader's work for a declared endpoint: decide how many workers run, publish it and order it.</summary>
internal sealed class EndpointScaling(
    ScalingPlanner planner,
    GpuRequests devices,
    ScalingDecisionLog decisions,
    PlanExecution execution,
    EndpointAvailability availability)
{
    /// <summary>Scales an endpoint. Returns until when it needs no round; null: it needs the next one.</summary>
    public async Task<DateTimeOffset?> ScaleAsync(
        Deployment deployment,
        EndpointObservation observed,
        CancellationToken ct)
    {
        var endpoint = await planner.ObserveAsync(deployment, observed, ct);
        var (id, state) = (endpoint.Id, endpoint.State);
        var plan = await planner.PlanAsync(endpoint, ct);
        var policy = deployment.Endpoint.Scaling;
        var rest = RestPolicy.Decide(policy, endpoint.Fleet, endpoint.Dispatch, plan, state.Backoff, endpoint.Now);
        plan = await devices.ApplyAsync(endpoint, plan, ct);
        var note = ScalingDecisionRecord.Create(policy, plan.Load, plan.Scale, plan.Start,
            plan.Drain.Count, plan.Resume.Count, endpoint.Now);
        state.Noted = note with { Trouble = state.Trouble };
        var isStored = await decisions.PublishAsync(id, endpoint.Epoch, state.Noted, state.Scale, ct);
        if (!await execution.ExecuteAsync(endpoint, plan, ct)) return null;
        // The wait state of endpoints with a device request is stored after all endpoints of this round.
        if (!devices.HasRequest(id)) await availability.StoreWaitAsync(id, endpoint.Epoch, state, null, ct);
        var anyReady = endpoint.Fleet.Pods.Any(p => p.State == PodState.Ready);
        await availability.UpdateBlockAsync(deployment.Endpoint, state, anyReady, endpoint.Dispatch, ct);
        return isStored && !devices.HasRequest(id) ? rest : null;
    }
}
