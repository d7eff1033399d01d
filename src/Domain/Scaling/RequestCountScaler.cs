using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The REQUEST_COUNT scaler, as RunPod defines it: waiting and running requests divided by the target per worker.
/// </summary>
internal static class RequestCountScaler
{
    public static (int Workers, string Why) Workers(ScalePolicy policy, LoadSnapshot load)
    {
        var target = Target(policy, load);
        var workers = Autoscaler.WorkersFor(load.Queued + load.Busy, target);
        return (workers, Autoscaler.Text(
            $"{load.Queued} waiting + {load.Busy} running, {target} per worker: {workers}"));
    }

    /// <summary>Returns the target number of concurrent requests per worker.</summary>
    public static int Target(ScalePolicy policy, LoadSnapshot load) =>
        policy.Target > 0 ? policy.Target : Math.Max(1, load.SlotsPerWorker);
}
