using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Fleet;

/// <summary>The planned changes to an endpoint's pods.</summary>
/// <param name="Start">Number of pods to start.</param>
/// <param name="Drain">Pods that drain: they get no new requests.</param>
/// <param name="Resume">Draining pods that serve again, which is faster than any cold start.</param>
/// <param name="Load">The load that the decision is based on.</param>
/// <param name="Scale">The autoscaler's decision.</param>
public sealed record FleetPlan(
    int Start,
    IReadOnlyList<string> Drain,
    IReadOnlyList<string> Resume,
    LoadSnapshot Load,
    ScaleDecision Scale)
{
    /// <summary>Whether the plan contains any change.</summary>
    public bool Acts => Start > 0 || Drain.Count > 0 || Resume.Count > 0;

    /// <summary>
    /// Makes the plan. Pure. Outdated pods (of another declaration) are replaced first: as many new ones are started,
    /// at least one, and the outdated ones drain once the new ones are ready. If the old declaration is restored before
    /// that, the new ones drain instead. While successors fail to start, one ready outdated pod is kept, even if the
    /// endpoint is idle, because stopping it would cause an outage. A scale-in drains the pods with the fewest
    /// requests, and the youngest of equals. A scale-out resumes draining pods before it starts any.
    /// </summary>
    public static FleetPlan Make(
        Deployment deployment,
        string fingerprint,
        FleetSnapshot fleet,
        EndpointSnapshot snapshot,
        ScaleState state,
        StartBackoff backoff,
        DateTimeOffset now)
    {
        var alive = fleet.Pods
            .Where(p => p.State is PodState.Starting or PodState.Ready && !fleet.Drain.Contains(p.Id))
            .ToList();
        var outdated = alive.Where(p => p.Fingerprint != fingerprint).ToList();
        var current = outdated.Count == 0 ? alive : alive.Except(outdated).ToList();
        var retries = backoff.Blocks && now >= backoff.NextTry;
        var load = FleetLoad.Compute(deployment.Template, current, snapshot, retries, now) with
        {
            WorkerTime = FleetLoad.WorkerTime(fleet.Pods, state.At, now),
            Outdated = outdated.Count(p => p.State == PodState.Ready),
        };
        var scale = Autoscaler.Decide(deployment.Endpoint.Scaling, load, state, now);

        var wanted = scale.Desired;
        var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
        var leaving = fleet.Pods
            .Where(p => p.Fingerprint == fingerprint && p.State != PodState.Failed)
            .Except(current)
            .ToList();
        var resume = leaving.Where(p => p.State is PodState.Ready or PodState.Draining)
            .OrderByDescending(p => leased.GetValueOrDefault(p.Id))
            .ThenBy(p => p.StartedAt)
            .ThenBy(p => p.Id, StringComparer.Ordinal)
            .Take(Math.Max(0, wanted - current.Count))
            .Select(p => p.Id)
            .ToList();
        // A draining pod keeps its memory and its GPU until it has stopped.
        var room = deployment.Endpoint.Scaling.Max - current.Count - leaving.Count;
        var start = Math.Clamp(wanted - current.Count - resume.Count, 0, Math.Max(0, room));
        if (now < backoff.NextTry) start = 0;
        else if (backoff.Failures > 0) start = Math.Min(start, 1);

        var drain = new List<string>();
        if (outdated.Count > 0 && load.Ready >= Math.Min(wanted, outdated.Count))
        {
            var keepsLast = load.Ready == 0 && backoff.Failures > 0 && !EndsAll(deployment, scale);
            var last = keepsLast ? LastOf(outdated, leased) : null;
            drain.AddRange(outdated.Where(p => p != last).Select(p => p.Id));
        }

        if (current.Count > wanted)
        {
            var surplus = current.OrderBy(p => leased.GetValueOrDefault(p.Id)).ThenByDescending(p => p.StartedAt)
                .Take(current.Count - wanted);
            drain.AddRange(surplus.Select(p => p.Id));
        }

        return new FleetPlan(start, drain, resume, load, scale);
    }

    /// <summary>Whether an operator's setting, not a lack of requests, stops the endpoint's workers.</summary>
    private static bool EndsAll(Deployment deployment, ScaleDecision scale) =>
        deployment.Endpoint.Scaling.Max == 0 || scale.DecidedBy is ScaleSteps.Pause or ScaleSteps.Spend;

    /// <summary>
    /// Returns the ready pod with the most requests, and the oldest of equals; null if none is ready.
    /// </summary>
    private static Pod? LastOf(IReadOnlyList<Pod> outdated, Dictionary<string, int> leased) => outdated
        .Where(p => p.State == PodState.Ready)
        .OrderByDescending(p => leased.GetValueOrDefault(p.Id))
        .ThenBy(p => p.StartedAt)
        .FirstOrDefault();
}
