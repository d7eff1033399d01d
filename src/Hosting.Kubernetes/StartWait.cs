using Sluice.Domain.Fleet;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Decides how long a start waits for what the Pod object says. Its state is the time of the last change of the
/// reason; times are passed in.
/// </summary>
/// <param name="scheduleTimeout">
/// How long the pod may wait for a node. The time in a queue, which holds it back, does not count.
/// </param>
/// <param name="begun">Timestamp of the beginning of the wait.</param>
internal sealed class StartWait(TimeSpan scheduleTimeout, long begun)
{
    private static readonly TimeSpan CheckAtLeastEvery = TimeSpan.FromSeconds(30);

    private TimeSpan admitted;
    private TimeSpan? scheduled;
    private TimeSpan? intolerableSince;

    /// <summary>Timestamp of the beginning of the wait.</summary>
    public long Begun { get; } = begun;

    /// <summary>Decides whether the start has failed.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="misfit">Why no node can ever have room for it; null: one can, or that is not known.</param>
    /// <param name="elapsed">Time since the beginning of the wait.</param>
    /// <returns>Why the start has failed (null: it has not), and when to decide again without a change.</returns>
    public (string? Failure, TimeSpan CheckAfter) Decide(ObservedPod pod, string? misfit, TimeSpan elapsed)
    {
        if (pod.Progress == PodProgress.Unscheduled)
        {
            if (misfit is not null) return (misfit, CheckAtLeastEvery);
            if (pod.IsGated)
            {
                // A repeated start would lose its place in the queue.
                admitted = elapsed;
                return (null, CheckAtLeastEvery);
            }

            var waited = elapsed - admitted;
            return waited < scheduleTimeout ? (null, Shorter(scheduleTimeout - waited))
                : ($"no node took the pod within {scheduleTimeout.TotalSeconds:0} s: {pod.Reason}", CheckAtLeastEvery);
        }

        scheduled ??= elapsed;
        // The kubelet alternates between two reasons of a failing pull, which are one problem.
        if (pod.Tolerance is not { } tolerance)
        {
            if (pod.Reason.Length == 0) intolerableSince = null;
            return (null, CheckAtLeastEvery);
        }

        intolerableSince ??= elapsed;
        var left = intolerableSince.Value + tolerance - elapsed;
        return left > TimeSpan.Zero ? (null, Shorter(left)) : (pod.Reason, CheckAtLeastEvery);
    }

    /// <summary>Returns the stages of the completed wait: until it had a node, and until it ran.</summary>
    public IEnumerable<StartStage> Stages(TimeSpan elapsed)
    {
        var until = scheduled ?? elapsed;
        yield return new StartStage("schedule", Math.Round(until.TotalMilliseconds, 1));
        yield return new StartStage("start", Math.Round((elapsed - until).TotalMilliseconds, 1));
    }

    private static TimeSpan Shorter(TimeSpan left) => left < CheckAtLeastEvery ? left : CheckAtLeastEvery;
}
