using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The QUEUE_DELAY scaler, as RunPod describes it: adds one worker if a request has waited longer than the maximum
/// delay and no worker is starting.
/// </summary>
internal sealed class QueueDelayScaler : IScaler
{
    public ScalerDemand Compute(in ScalerInput input)
    {
        var (workers, why) = Compute(input.Policy, input.Load);
        return new ScalerDemand(workers, why, input.State);
    }

    private static (int Workers, string Why) Compute(ScalePolicy policy, LoadSnapshot load)
    {
        if (load.Queued + load.Busy == 0) return (0, "no request is waiting or running");
        var busy = Math.Max(1, Autoscaler.WorkersFor(load.Busy, Math.Max(1, load.SlotsPerWorker)));
        // No request has waited yet. Running requests are on workers of an earlier declaration, which will be replaced.
        if (load.Current == 0)
            return (busy, Autoscaler.Text($"{load.Queued} waiting + {load.Busy} running and no worker: {busy}"));

        // Excludes buffer workers, which a later step adds. Otherwise every pass would add them again.
        var current = Math.Max(0, load.Current - policy.Buffer);
        var oldest = load.OldestWait.TotalSeconds;
        if (load.OldestWait > policy.MaxDelay && load.Starting == 0)
        {
            var more = Math.Max(current + 1, busy);
            return (more, Autoscaler.Text(
                $"oldest wait {oldest:0.#} s exceeds {policy.MaxDelay.TotalSeconds:0.#} s: {more}"));
        }

        // The running workers are sufficient. If no request waits, the busy slots show how many of them are needed.
        var needed = load.Queued > 0 ? Math.Max(current, busy) : busy;
        return (needed, Autoscaler.Text($"oldest wait {oldest:0.#} s, {load.Starting} starting: {needed}"));
    }
}
