using System.Collections.Frozen;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;

namespace Sluice.Simulator.Scalers;

/// <summary>Uses Sluice's own plan, decision and start backoff, with the same inputs as the reconciler.</summary>
public sealed class SluiceScaler(ScalePolicy policy, string name) : IContender
{
    private static readonly FrozenSet<string> NoOrders = FrozenSet<string>.Empty;

    private Deployment? deployment;
    private ScaleState state = ScaleState.Initial;
    private StartBackoff backoff = StartBackoff.None;

    public string Name => name;

    public TimeSpan Interval => TimeSpan.FromSeconds(1);

    /// <summary>The latest decision.</summary>
    public ScaleDecision? Last { get; private set; }

    public bool IsTriggered(SimEndpoint endpoint) => true;

    public Orders Decide(SimEndpoint endpoint, DateTimeOffset now)
    {
        deployment ??= new Deployment(new Endpoint { Id = endpoint.Name, Template = "t", Scaling = policy },
            new Template { Name = "t", Concurrency = endpoint.Options.SlotsPerWorker });
        if (backoff != StartBackoff.None && endpoint.Workers.Exists(w => w.State == PodState.Ready
            && now - w.Pod.ReadyAt >= StartBackoff.ProvenAfter))
            backoff = StartBackoff.None;
        var plan = FleetPlan.Make(
            deployment, "",
            new FleetSnapshot(false, endpoint.Pods(), endpoint.DrainOrders.Count > 0 ? endpoint.DrainOrders : NoOrders),
            endpoint.Snapshot(now), state, backoff, now);
        state = plan.Scale.Next;
        Last = plan.Scale;
        return new Orders(plan.Start, plan.Drain, plan.Resume);
    }

    public void OnFailed(SimWorker worker, DateTimeOffset now)
    {
        var proven = worker.Pod.ReadyAt is { } ready && now - ready >= StartBackoff.ProvenAfter;
        var before = proven ? StartBackoff.None : backoff;
        backoff = worker.Pod.ReadyAt is null ? before.Failed(now, "failed") : before.Died(now, "died");
    }
}
