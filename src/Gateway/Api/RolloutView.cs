using Sluice.Core.Autoscaling;
using Sluice.Core.Workers;

namespace Sluice.Gateway.Api;

/// <summary>A change of an endpoint's declaration that is under way: workers of the earlier one serve until their successors are ready.</summary>
/// <param name="Outdated">Workers of an earlier declaration that take requests.</param>
/// <param name="Starting">Workers of the present one that start.</param>
/// <param name="Ready">Workers of the present one that are ready.</param>
/// <param name="Failures">Starts of the present one that failed in a row.</param>
/// <param name="Reason">Why the last one failed; null: none failed.</param>
/// <param name="RetryAt">No start before this; null: none failed.</param>
public sealed record RolloutView(int Outdated, int Starting, int Ready, int Failures, string? Reason, DateTimeOffset? RetryAt)
{
    /// <summary>Null: no change is under way.</summary>
    public static RolloutView? Of(IReadOnlyList<Pod> pods, string fingerprint, StartTrouble? trouble)
    {
        var outdated = pods.Count(p => p.State is PodState.Starting or PodState.Ready && p.Fingerprint != fingerprint);
        if (outdated == 0) return null;
        int Now(PodState state) => pods.Count(p => p.State == state && p.Fingerprint == fingerprint);
        return new RolloutView(outdated, Now(PodState.Starting), Now(PodState.Ready), trouble?.Failures ?? 0, trouble?.Reason, trouble?.NextTry);
    }
}
