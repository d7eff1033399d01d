using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Plans which workers of a declared endpoint start, drain and resume.</summary>
internal sealed class ScalingPlanner(
    HostId host,
    EndpointReconcileStates states,
    ScalingDecisionLog decisions,
    PodStore store,
    WorkerSlotStore slots,
    RestingEndpoints resting,
    TimeProvider time)
{
    /// <summary>Combines the state of an endpoint in Redis with the leader's state of it.</summary>
    public async Task<DeclaredEndpoint> ObserveAsync(
        Deployment deployment,
        EndpointObservation observed,
        CancellationToken ct)
    {
        var state = states.GetOrCreate(observed.EndpointId);
        var fingerprint = PodFingerprint.Compute(deployment);
        state.SetFingerprint(fingerprint);
        if (state.Epoch != observed.Epoch)
        {
            state.Resume(observed.Epoch, await decisions.ResumeAsync(observed.EndpointId, ct));
            state.IgnoreFailures(observed.Fleet.Pods);
        }

        if (resting.TakeRested(observed.EndpointId) is { } until)
            state.Scale = Autoscaler.Rest(deployment.Endpoint.Scaling, state.Scale, until);
        return new DeclaredEndpoint(deployment, fingerprint, observed.Epoch, state, observed.Fleet, observed.Dispatch,
            time.GetUtcNow());
    }

    /// <summary>
    /// Makes the plan, and removes what no later plan needs: obsolete failed pods and the count of rejected requests.
    /// </summary>
    public async Task<FleetPlan> PlanAsync(DeclaredEndpoint endpoint, CancellationToken ct)
    {
        var (state, pods, fingerprint) = (endpoint.State, endpoint.Fleet.Pods, endpoint.Fingerprint);
        state.RecordFailures([.. pods.Where(p => p.HostId != host.Value)], endpoint.Now);
        // Only a worker of this declaration that became ready after the last failure resets the backoff.
        var proven = pods.Where(p => p.State == PodState.Ready && p.Fingerprint == fingerprint
            && endpoint.Now - p.ReadyAt >= StartBackoff.ProvenAfter);
        foreach (var pod in proven) state.RecordProven(pod.HostId, pod.ReadyAt!.Value);
        foreach (var pod in FailedPodRetention.Obsolete(pods, fingerprint))
            await store.RemoveAsync(endpoint.Id, pod.Id, ct);
        var plan = FleetPlan.Make(endpoint.Deployment, fingerprint, endpoint.Fleet, endpoint.Dispatch, state.Scale,
            state.Backoff, endpoint.Now);
        state.Scale = plan.Scale.Next;
        state.Refusal = plan.Scale.Refuses;
        // The rejected requests are covered by the new start, or do not result from failed starts.
        if (endpoint.Dispatch.Refused > 0 && (plan.Start > 0 || !state.Backoff.Blocks))
            await slots.ForgetRefusedAsync(endpoint.Id, ct);
        return plan;
    }
}
