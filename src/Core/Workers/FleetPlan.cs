using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What should happen to an endpoint's pods now.</summary>
/// <param name="Start">Pods to start.</param>
/// <param name="Drain">Pods that should take no more requests.</param>
/// <param name="Resume">Pods that were to drain and are wanted back: no cold start is quicker.</param>
/// <param name="Load">What was decided on.</param>
/// <param name="Scale">The decision behind it.</param>
public sealed record FleetPlan(int Start, IReadOnlyList<string> Drain, IReadOnlyList<string> Resume, Load Load, ScaleDecision Scale)
{
    /// <summary>Whether anything is to be done.</summary>
    public bool Acts => Start > 0 || Drain.Count > 0 || Resume.Count > 0;

    /// <summary>
    /// Makes the plan. Pure. Outdated pods (started from another declaration) are replaced first: as many new ones are
    /// started, at least one, and the old ones drained once those are ready; when the old declaration comes back before that, they do too.
    /// One ready outdated pod stays while its successors fail to start, also when the endpoint is idle: its end would be an outage. Scale-in
    /// drains the pods with the fewest requests, the youngest of equals; scale-out takes back what still drains before it
    /// starts anything.
    /// </summary>
    public static FleetPlan Make(Deployment deployment, string fingerprint, FleetLook fleet, EndpointSnapshot snapshot,
        ScaleState state, StartBackoff backoff, DateTimeOffset now)
    {
        var alive = fleet.Pods.Where(p => p.State is PodState.Starting or PodState.Ready && !fleet.Drain.Contains(p.Id)).ToList();
        var outdated = alive.Where(p => p.Fingerprint != fingerprint).ToList();
        var current = outdated.Count == 0 ? alive : alive.Except(outdated).ToList();
        var load = FleetLoad.Of(deployment.Template, current, snapshot, backoff.Blocks && now >= backoff.NextTry, now) with
        {
            WorkerTime = FleetLoad.WorkerTime(fleet.Pods, state.At, now),
            Outdated = outdated.Count(p => p.State == PodState.Ready),
        };
        var scale = Autoscaler.Decide(deployment.Endpoint.Scaling, load, state, now);

        var wanted = scale.Desired;
        var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
        var leaving = fleet.Pods.Where(p => p.Fingerprint == fingerprint && p.State != PodState.Failed).Except(current).ToList();
        var resume = leaving.Where(p => p.State is PodState.Ready or PodState.Draining)
            .OrderByDescending(p => leased.GetValueOrDefault(p.Id)).ThenBy(p => p.StartedAt).ThenBy(p => p.Id, StringComparer.Ordinal)
            .Take(Math.Max(0, wanted - current.Count)).Select(p => p.Id).ToList();
        // What leaves has its memory and its GPU until it is gone.
        var room = deployment.Endpoint.Scaling.Max - current.Count - leaving.Count;
        var start = Math.Clamp(wanted - current.Count - resume.Count, 0, Math.Max(0, room));
        if (now < backoff.NextTry) start = 0;
        else if (backoff.Failures > 0) start = Math.Min(start, 1);

        var drain = new List<string>();
        if (outdated.Count > 0 && load.Ready >= Math.Min(wanted, outdated.Count))
        {
            var last = load.Ready == 0 && backoff.Failures > 0 && !EndsAll(deployment, scale) ? LastOf(outdated, leased) : null;
            drain.AddRange(outdated.Where(p => p != last).Select(p => p.Id));
        }

        if (current.Count > wanted)
        {
            drain.AddRange(current.OrderBy(p => leased.GetValueOrDefault(p.Id)).ThenByDescending(p => p.StartedAt)
                .Take(current.Count - wanted).Select(p => p.Id));
        }

        return new FleetPlan(start, drain, resume, load, scale);
    }

    /// <summary>Whether an operator's setting, and not a lack of requests, ends the endpoint's workers.</summary>
    private static bool EndsAll(Deployment deployment, ScaleDecision scale) =>
        deployment.Endpoint.Scaling.Max == 0 || scale.DecidedBy is ScaleSteps.Pause or ScaleSteps.Spend;

    /// <summary>The ready one with the most requests, the oldest of equals; null: none is ready.</summary>
    private static Pod? LastOf(IReadOnlyList<Pod> outdated, Dictionary<string, int> leased) => outdated.Where(p => p.State == PodState.Ready)
        .OrderByDescending(p => leased.GetValueOrDefault(p.Id)).ThenBy(p => p.StartedAt).FirstOrDefault();
}
