namespace Sluice.Core.Workers;

/// <summary>Which failed pods are no longer listed. Pure.</summary>
internal static class FailedPods
{
    /// <summary>
    /// Failed pods that say nothing about the endpoint as it is now: they were started from another declaration, or a worker of the present one that
    /// was ordered later is ready. Whichever host they failed on.
    /// </summary>
    public static IEnumerable<Pod> Obsolete(IReadOnlyList<Pod> pods, string fingerprint)
    {
        var repaired = pods.Where(p => p.State == PodState.Ready && p.Fingerprint == fingerprint)
            .Select(p => (DateTimeOffset?)p.StartedAt).Max();
        return pods.Where(p => p.State == PodState.Failed && (p.Fingerprint != fingerprint || p.StartedAt < repaired));
    }
}
