using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;

namespace Sluice.ControlPlane.Leadership;

/// <summary>What the leader knows of a declared endpoint in one round.</summary>
/// <param name="Deployment">The declaration.</param>
/// <param name="Fingerprint">The fingerprint of the declaration.</param>
/// <param name="Epoch">The leader's epoch.</param>
/// <param name="State">The leader's state from earlier rounds.</param>
/// <param name="Fleet">The endpoint's pods and drain orders.</param>
/// <param name="Dispatch">The endpoint's dispatch state.</param>
/// <param name="Now">The time of the decisions.</param>
internal sealed record DeclaredEndpoint(
    Deployment Deployment,
    string Fingerprint,
    long Epoch,
    EndpointReconcileState State,
    FleetSnapshot Fleet,
    EndpointSnapshot Dispatch,
    DateTimeOffset Now)
{
    public string Id => Deployment.Endpoint.Id;
}
