using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>QUEUE_DELAY, as RunPod describes it: one more worker when a request has waited longer than is tolerated, and none
/// while one is on its way.</summary>
internal static class QueueDelayDemand
{
    public static (int Workers, string Why) Workers(ScalePolicy policy, Load load)
    {
        if (load.Queued + load.Busy == 0) return (0, "nothing waits or runs");
        var busy = Math.Max(1, Autoscaler.WorkersFor(load.Busy, Math.Max(1, load.SlotsPerWorker)));
        // Nothing waited yet; what runs, runs on workers of another declaration that are to be replaced.
        if (load.Current == 0) return (busy, Autoscaler.Text($"{load.Queued} waiting + {load.Busy} running and no worker: {busy}"));

        // Spare workers come on top: counted here they would be added again at each look.
        var current = Math.Max(0, load.Current - policy.Buffer);
        var oldest = load.OldestWait.TotalSeconds;
        if (load.OldestWait > policy.MaxDelay && load.Starting == 0)
        {
            var more = Math.Max(current + 1, busy);
            return (more, Autoscaler.Text($"the oldest waits {oldest:0.#} s, tolerated are {policy.MaxDelay.TotalSeconds:0.#} s: {more}"));
        }

        // What runs is enough; how much of it is needed shows in what is busy.
        var needed = load.Queued > 0 ? Math.Max(current, busy) : busy;
        return (needed, Autoscaler.Text($"the oldest waits {oldest:0.#} s, {load.Starting} starting: {needed}"));
    }
}
