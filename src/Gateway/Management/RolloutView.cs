using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;

namespace Sluice.Gateway.Management;

/// <summary>
/// A rollout in progress: workers of the previous declaration of an endpoint accept requests until workers of the
/// current declaration are ready.
/// </summary>
/// <param name="Outdated">Workers of a previous declaration that are starting or ready.</param>
/// <param name="Starting">Workers of the current declaration that are starting.</param>
/// <param name="Ready">Workers of the current declaration that are ready.</param>
/// <param name="Failures">Consecutive failed starts of the current declaration.</param>
/// <param name="Reason">Why the last start failed. Null if no start failed.</param>
/// <param name="RetryAt">Earliest time of the next start. Null if no start failed.</param>
public sealed record RolloutView(int Outdated, int Starting, int Ready, int Failures, string? Reason,
    DateTimeOffset? RetryAt)
{
    /// <summary>Returns the rollout of an endpoint. Null if no rollout is in progress.</summary>
    public static RolloutView? From(IReadOnlyList<Pod> pods, string fingerprint, StartTrouble? trouble)
    {
        var outdated = pods.Count(p => p.State is PodState.Starting or PodState.Ready && p.Fingerprint != fingerprint);
        if (outdated == 0) return null;
        int CountCurrent(PodState state) => pods.Count(p => p.State == state && p.Fingerprint == fingerprint);
        return new RolloutView(outdated, CountCurrent(PodState.Starting), CountCurrent(PodState.Ready),
            trouble?.Failures ?? 0, trouble?.Reason, trouble?.NextTry);
    }
}
