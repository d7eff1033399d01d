using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>REQUEST_COUNT, as RunPod defines it: waiting and running requests, divided by what a worker is meant to have.</summary>
internal static class RequestCountDemand
{
    public static (int Workers, string Why) Workers(ScalePolicy policy, Load load)
    {
        var target = Target(policy, load);
        var workers = Autoscaler.WorkersFor(load.Queued + load.Busy, target);
        return (workers, Autoscaler.Text($"{load.Queued} waiting + {load.Busy} running, {target} a worker: {workers}"));
    }

    /// <summary>Requests that a worker is meant to have.</summary>
    public static int Target(ScalePolicy policy, Load load) => policy.Target > 0 ? policy.Target : Math.Max(1, load.SlotsPerWorker);
}
