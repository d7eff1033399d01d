namespace Sluice.ControlPlane.Scheduling;

/// <summary>What one round of the reconciler processes.</summary>
/// <param name="AllEndpoints">Whether the round covers all endpoints, also those at rest.</param>
/// <param name="DueEndpoints">Whether the round covers all endpoints that are not at rest.</param>
/// <param name="Endpoints">The endpoints that were requested by their id.</param>
internal sealed record ReconcileRequests(bool AllEndpoints, bool DueEndpoints, HashSet<string> Endpoints);
