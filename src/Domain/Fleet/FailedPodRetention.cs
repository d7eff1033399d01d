namespace Sluice.Domain.Fleet;

/// <summary>Selects the failed pods that are no longer listed. Pure.</summary>
public static class FailedPodRetention
{
    /// <summary>
    /// Returns the failed pods that do not describe the current endpoint: they have another declaration, or a worker of
    /// the current declaration that was ordered later is ready. The host that they failed on does not matter.
    /// </summary>
    public static IEnumerable<Pod> Obsolete(IReadOnlyList<Pod> pods, string fingerprint)
    {
        var repaired = pods.Where(p => p.State == PodState.Ready && p.Fingerprint == fingerprint)
            .Select(p => (DateTimeOffset?)p.StartedAt).Max();
        return pods.Where(p => p.State == PodState.Failed && (p.Fingerprint != fingerprint || p.StartedAt < repaired));
    }
}
