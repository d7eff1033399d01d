using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What should happen to an endpoint's pods now.</summary>
/// <param name="Start">Pods to start.</param>
/// <param name="Drain">Pods that should take no more requests.</param>
/// <param name="Load">What was decided on.</param>
/// <param name="Scale">The decision behind it.</param>
public sealed record FleetPlan(int Start, IReadOnlyList<string> Drain, Load Load, ScaleDecision Scale)
{
    /// <summary>
    /// Makes the plan. Pure. Outdated pods (started from another declaration) are replaced first: as many new ones are
    /// started, and the old ones drained once those are ready. Scale-in drains the pods with the fewest requests,
    /// the youngest of equals.
    /// </summary>
    /// <param name="deployment">What is declared.</param>
    /// <param name="fingerprint">What a pod is started from now.</param>
    /// <param name="pods">All pods of the endpoint, those that are told to drain too.</param>
    /// <param name="orders">Pods that are told to drain.</param>
    /// <param name="snapshot">What dispatch knows.</param>
    /// <param name="state">What the autoscaler remembers.</param>
    /// <param name="backoff">The brake on crash loops.</param>
    /// <param name="now">The present.</param>
    public static FleetPlan Make(Deployment deployment, string fingerprint, IReadOnlyList<Pod> pods, IReadOnlySet<string> orders,
        EndpointSnapshot snapshot, ScaleState state, StartBackoff backoff, DateTimeOffset now)
    {
        var alive = pods.Where(p => p.State is PodState.Starting or PodState.Ready && !orders.Contains(p.Id)).ToList();
        var outdated = alive.Where(p => p.Fingerprint != fingerprint).ToList();
        var current = outdated.Count == 0 ? alive : alive.Except(outdated).ToList();
        var load = LoadOf(deployment.Template, current, snapshot, now) with { WorkerTime = WorkerTimeSince(state.At, pods, now) };
        var scale = Autoscaler.Decide(deployment.Endpoint.Scaling, load, state, now);

        var wanted = scale.Desired;
        var start = Math.Max(0, wanted - current.Count);
        if (now < backoff.NextTry) start = 0;
        else if (backoff.Failures > 0) start = Math.Min(start, 1);

        var drain = new List<string>();
        if (outdated.Count > 0 && load.Ready >= Math.Min(wanted, outdated.Count)) drain.AddRange(outdated.Select(p => p.Id));
        if (current.Count > wanted)
        {
            var leased = snapshot.Workers.ToDictionary(w => w.PodId, w => w.Leased);
            drain.AddRange(current.OrderBy(p => leased.GetValueOrDefault(p.Id)).ThenByDescending(p => p.StartedAt)
                .Take(current.Count - wanted).Select(p => p.Id));
        }

        return new FleetPlan(start, drain, load, scale);
    }

    /// <summary>What an endpoint asks of its present workers.</summary>
    private static Load LoadOf(Template template, List<Pod> current, EndpointSnapshot snapshot, DateTimeOffset now)
    {
        // Low priority orders no workers, but for the one without which it would wait for ever.
        var waiting = snapshot.Queued - snapshot.LowPriority;
        if (waiting == 0 && snapshot.LowPriority > 0 && current.Count == 0) waiting = 1;
        var ready = 0;
        var startingFor = TimeSpan.Zero;
        Pod? last = null;
        foreach (var pod in current)
            if (pod.State == PodState.Ready)
            {
                ready++;
                if (last is null || pod.ReadyAt > last.ReadyAt) last = pod;
            }
            else
            {
                startingFor += now - pod.StartedAt;
            }

        var starting = current.Count - ready;
        return new Load(waiting, snapshot.OldestWait, snapshot.Busy, snapshot.Completed, ready, starting, template.Concurrency)
        {
            Served = snapshot.Served,
            StartingFor = starting > 0 ? startingFor / starting : TimeSpan.Zero,
            LastStart = last?.ReadyAt - last?.StartedAt,
            LastReadyAt = last?.ReadyAt ?? default,
        };
    }

    /// <summary>How long workers were up since the last look, summed; a new leader counts from the look of the one before it.</summary>
    private static TimeSpan WorkerTimeSince(DateTimeOffset? look, IReadOnlyList<Pod> pods, DateTimeOffset now)
    {
        var sum = TimeSpan.Zero;
        foreach (var pod in pods)
        {
            if (pod.State == PodState.Failed) continue;
            var from = look is { } at && at > pod.StartedAt ? at : pod.StartedAt;
            if (now > from) sum += now - from;
        }

        return sum;
    }
}
