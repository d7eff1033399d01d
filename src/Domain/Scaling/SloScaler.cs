using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The SLO scaler: computes the smallest number of workers with which requests wait no longer than the target, from the
/// learned rates and times. It adds two parts, in slots. The stream: the slots that Erlang's formula requires for the
/// arrival rate that the recent past proves. The backlog: the requests that will still wait when a worker started now
/// is ready, given the running and starting workers. The backlog must be processed soon after.
/// </summary>
internal sealed class SloScaler : IScaler
{
    /// <summary>
    /// Number of standard deviations by which the rate of a short span must differ before it is used.
    /// </summary>
    private const double Sigmas = 2;

    /// <summary>
    /// Time in which a backlog is processed once the workers are ready, as a fraction of the start time. Of the values
    /// 0.15, 0.3, 0.5, 1 and 2, on all traces of the simulator, no value is better than this one on any trace.
    /// </summary>
    private const double DrainInStarts = 0.3;

    /// <summary>Starts that an unused worker may cost before it stops.</summary>
    private const int StartsWorthWaiting = 10;

    public bool SpacesScaleIns => true;

    /// <summary>
    /// The time of ten starts: an unused worker may cost that much more than a worker that must start again.
    /// </summary>
    public TimeSpan GetScaleInDelay(ScalePolicy policy, ScaleState state)
    {
        var starts = StartsWorthWaiting * state.Learned.Start;
        return starts < policy.IdleTimeout ? starts : policy.IdleTimeout;
    }

    public ScalerDemand Compute(in ScalerInput input)
    {
        var (workers, why) = Compute(input.Policy, input.Load, input.Before, input.State);
        return new ScalerDemand(workers, why, input.State);
    }

    private static (int Workers, string Why) Compute(
        ScalePolicy policy, LoadSnapshot load, ScaleState before, ScaleState state)
    {
        var each = Math.Max(1, load.SlotsPerWorker);
        if (load.Queued + load.Busy == 0 && load.Arrived == before.Arrived)
            return (0, "no request is waiting, running or new");
        if (state.Learned.ServiceSeconds is not { } service)
        {
            var first = Autoscaler.WorkersFor(load.Queued + load.Busy, each);
            return (first, "no service time learned: " + Autoscaler.Text(
                $"{load.Queued} waiting + {load.Busy} running, {each} per worker: {first}"));
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
        var flow = Autoscaler.Text($"{rate:0.##} requests/s of {service:0.###} s, ")
            + Autoscaler.Text($"{policy.TargetPercentile} % within {target:0.##} s: {stream} slots");
        var queue = Autoscaler.Text($"{load.Queued} waiting, {backlog:0} after a start of {start:0.#} s");
        return (workers, Autoscaler.Text($"{flow}; {queue}; {each} per worker: {workers}"));
    }

    /// <summary>
    /// Returns the usual arrival rate, unless the last seconds prove a higher one or allow only a lower one.
    /// </summary>
    private static double Rate(Traffic traffic)
    {
        var usual = Math.Clamp(traffic.Usual.Mean, 0, traffic.Recent.AtMost(Traffic.RecentTau, Sigmas));
        var now = traffic.Now.AtLeast(Traffic.NowTau, Sigmas);
        var recent = traffic.Recent.AtLeast(Traffic.RecentTau, Sigmas / 2);
        return Math.Max(usual, Math.Max(now, recent));
    }

    /// <summary>
    /// Returns how many requests will still wait when a worker started now is ready, if all running and starting
    /// workers are fully used.
    /// </summary>
    private static double Backlog(LoadSnapshot load, ScaleState state, double rate, double service, int each)
    {
        if (load.Queued == 0) return 0;
        var start = state.Learned.Start.TotalSeconds;
        var until = Math.Max(0, start - load.StartingFor.TotalSeconds);
        var done = (load.Ready * start + load.Starting * (start - until)) * each / service;
        return Math.Max(0, load.Queued + rate * start - done);
    }
}
