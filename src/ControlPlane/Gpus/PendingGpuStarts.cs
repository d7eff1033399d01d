using Sluice.Domain.Declarations;

namespace Sluice.ControlPlane.Gpus;

/// <summary>A request for additional workers that need devices.</summary>
/// <param name="Deployment">The endpoint and its template, whose <see cref="Template.Gpu"/> is not null.</param>
/// <param name="Fingerprint">The fingerprint of the declaration that the workers are started from.</param>
/// <param name="Epoch">Epoch of the leader that decided it.</param>
/// <param name="Count">Number of workers.</param>
/// <param name="Because">The reason for that number.</param>
/// <param name="Replaceable">
/// Ready pods of an earlier declaration that may be drained, those with the fewest requests first. Empty: there are
/// none, or one drains already.
/// </param>
internal sealed record PendingGpuStarts(
    Deployment Deployment,
    string Fingerprint,
    long Epoch,
    int Count,
    string Because,
    IReadOnlyList<string> Replaceable)
{
    public string EndpointId => Deployment.Endpoint.Id;

    /// <summary>
    /// The hosts on which starts of the endpoint failed recently. Their GPUs are used if no other ones are free.
    /// </summary>
    public IReadOnlySet<string> FailingHosts { get; init; } = new HashSet<string>();
}
