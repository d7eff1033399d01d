using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The REQUEST_COUNT scaler, as RunPod defines it: waiting and running requests divided by the target per worker.
/// </summary>
internal sealed class RequestCountScaler : IScaler
{
    public ScalerDemand Compute(in ScalerInput input)
    {
        var (policy, load) = (input.Policy, input.Load);
        var target = Target(policy, load);
        var workers = Autoscaler.WorkersFor(load.Queued + load.Busy, target);
        var why = Autoscaler.Text($"{load.Queued} waiting + {load.Busy} running, {target} per worker: {workers}");
        return new ScalerDemand(workers, why, input.State);
    }

    /// <summary>Returns the target number of concurrent requests per worker.</summary>
    public static int Target(ScalePolicy policy, LoadSnapshot load) =>
        policy.Target > 0 ? policy.Target : Math.Max(1, load.SlotsPerWorker);
}
