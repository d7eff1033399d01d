namespace Sluice.Domain.Fleet;

/// <summary>An endpoint's pods and drain orders at one moment.</summary>
/// <param name="Stale">Whether a later leader has read the endpoint: the caller no longer leads.</param>
/// <param name="Pods">The pods, oldest first.</param>
/// <param name="Drain">Pods that their hosts must drain and stop.</param>
public sealed record FleetSnapshot(bool Stale, IReadOnlyList<Pod> Pods, IReadOnlySet<string> Drain);
