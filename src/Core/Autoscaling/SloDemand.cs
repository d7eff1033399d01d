using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>
/// SLO: just enough workers that requests wait no longer than the target, by what was learned. Two parts, added in slots. The
/// stream: as many slots as Erlang's formula needs for the rate that the recent past proves. The backlog: what will
/// still wait when a worker that is ordered now is ready, counting what runs and starts, is to be done soon after.
/// </summary>
internal static class SloDemand
{
    /// <summary>Standard deviations by which a short span must stand out before it is believed.</summary>
    private const double Sigmas = 2;

    /// <summary>In what part of a start's time a backlog is to be done once there are workers. Of 0.15, 0.3, 0.5, 1 and 2, run on all traces of the
    /// simulator, this one is beaten on none.</summary>
    private const double DrainInStarts = 0.3;

    public static (int Workers, string Why) Workers(ScalePolicy policy, Load load, ScaleState before, ScaleState state)
    {
        var each = Math.Max(1, load.SlotsPerWorker);
        if (load.Queued + load.Busy == 0 && load.Arrived == before.Arrived) return (0, "nothing waits, runs or came");
        if (state.Learned.ServiceSeconds is not { } service)
        {
            var first = Autoscaler.WorkersFor(load.Queued + load.Busy, each);
            return (first, Autoscaler.Text($"nothing is known of its requests yet: {load.Queued} waiting + {load.Busy} running, {each} a worker: {first}"));
        }

        service = Math.Max(service, 1e-4);
        var rate = Rate(state.Traffic);
        var target = policy.TargetWait.TotalSeconds;
        var stream = ErlangC.Slots(rate * service, target, service, 1 - policy.TargetPercentile / 100.0);
        var backlog = Backlog(load, state, rate, service, each);
        var start = state.Learned.Start.TotalSeconds;
        var drain = Math.Max(Math.Max(target, service), DrainInStarts * start);
        var slots = stream + backlog * service / drain;
        var workers = Math.Max(load.Queued + load.Busy > 0 ? 1 : 0, Autoscaler.WorkersFor(slots, each));
        var flow = Autoscaler.Text($"{rate:0.##} requests/s of {service:0.###} s, {target:0.##} s for {policy.TargetPercentile} %: {stream} slots");
        return (workers, Autoscaler.Text($"{flow}; {load.Queued} wait, {backlog:0} still in {start:0.#} s; {each} a worker: {workers}"));
    }

    /// <summary>The usual rate, unless the last seconds prove a higher one or allow only a lower one.</summary>
    private static double Rate(Traffic traffic)
    {
        var usual = Math.Clamp(traffic.Usual.Mean, 0, traffic.Recent.AtMost(Traffic.RecentTau, Sigmas));
        return Math.Max(usual, Math.Max(traffic.Now.AtLeast(Traffic.NowTau, Sigmas), traffic.Recent.AtLeast(Traffic.RecentTau, Sigmas / 2)));
    }

    /// <summary>Requests that will wait when a worker ordered now is ready, if what runs and starts does what it can.</summary>
    private static double Backlog(Load load, ScaleState state, double rate, double service, int each)
    {
        if (load.Queued == 0) return 0;
        var start = state.Learned.Start.TotalSeconds;
        var until = Math.Max(0, start - load.StartingFor.TotalSeconds);
        var done = (load.Ready * start + load.Starting * (start - until)) * each / service;
        return Math.Max(0, load.Queued + rate * start - done);
    }
}
