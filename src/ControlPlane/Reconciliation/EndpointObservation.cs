using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>What this gateway reads about one endpoint in one round.</summary>
/// <param name="EndpointId">The endpoint's id.</param>
/// <param name="Deployment">The declaration; null: the endpoint is not declared.</param>
/// <param name="Epoch">The epoch of this round; 0: this gateway does not lead.</param>
/// <param name="Fleet">The endpoint's pods and drain orders.</param>
/// <param name="Dispatch">The endpoint's dispatch state.</param>
/// <param name="LivingHosts">The hosts whose lease is valid; null: the round covers requested endpoints only.</param>
internal sealed record EndpointObservation(
    string EndpointId,
    Deployment? Deployment,
    long Epoch,
    FleetSnapshot Fleet,
    EndpointSnapshot Dispatch,
    IReadOnlySet<string>? LivingHosts);
