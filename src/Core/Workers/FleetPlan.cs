using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What should happen to an endpoint's pods now.</summary>
/// <param name="Start">Pods to start.</param>
/// <param name="Drain">Pods that should take no more requests.</param>
/// <param name="Scale">The decision behind it.</param>
public sealed record FleetPlan(int Start, IReadOnlyList<string> Drain, ScaleDecision Scale)
{
    /// <summary>
    /// Makes the plan. Pure. Outdated pods (started from another declaration) are replaced first: as many new ones are
    /// started, and the old ones drained once those are ready. Scale-in drains the pods with the fewest requests,
    /// the youngest of equals.
    /// </summary>
    public static FleetPlan Make(Deployment deployment, string fingerprint, IReadOnlyList<Pod> pods,
        EndpointSnapshot snapshot, ScaleState state, StartBackoff backoff, DateTimeOffset now)
    {
        var alive = pods.Where(p => p.State is PodState.Starting or PodState.Ready).ToList();
        var outdated = alive.Where(p => p.Fingerprint != fingerprint).ToList();
        var current = alive.Except(outdated).ToList();
        // Low priority orders no workers, but for the one without which it would wait for ever.
        var waiting = snapshot.Queued - snapshot.LowPriority;
        if (waiting == 0 && snapshot.LowPriority > 0 && current.Count == 0) waiting = 1;
        var load = new Load(waiting, snapshot.OldestWait, snapshot.Busy, snapshot.Completed,
            current.Count(p => p.State == PodState.Ready), current.Count(p => p.State == PodState.Starting),
            deployment.Template.Concurrency);
        var scale = Autoscaler.Decide(deployment.Endpoint.Scaling, load, state, now);

        var wanted = scale.Desired;
        var start = Math.Max(0, wanted - current.Count);
        if (now < backoff.NextTry) start = 0;
        else if (backoff.Failures > 0) start = Math.Min(start, 1);

        var drain = new List<string>();
        var readyNow = current.Count(p => p.State == PodState.Ready);
        if (outdated.Count > 0 && readyNow >= Math.Min(wanted, outdated.Count)) drain.AddRange(outdated.Select(p => p.Id));
        if (current.Count > wanted)
        {
            var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
            drain.AddRange(current.OrderBy(p => leased.GetValueOrDefault(p.Id)).ThenByDescending(p => p.StartedAt)
                .Take(current.Count - wanted).Select(p => p.Id));
        }

        return new FleetPlan(start, drain, scale);
    }
}
