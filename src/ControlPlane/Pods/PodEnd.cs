using Sluice.Domain.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>The result of a pod of this host that has exited.</summary>
/// <param name="Pod">The last record.</param>
/// <param name="Failed">Whether it exited without a request to stop.</param>
/// <param name="Proven">
/// Whether it had been ready long enough (<see cref="StartBackoff.ProvenAfter"/>) to count its start as successful.
/// </param>
internal readonly record struct PodEnd(Pod Pod, bool Failed, bool Proven);
