using Sluice.Domain.UserPods;

namespace Sluice.Hosting.UserPods;

/// <summary>Everything that a start needs.</summary>
/// <param name="Pod">The pod. Placeholders in its command and arguments are filled.</param>
/// <param name="State">Its state, with its devices.</param>
/// <param name="Installation">Identifies the pod's Redis.</param>
public sealed record UserPodStart(UserPod Pod, UserPodState State, string Installation)
{
    /// <summary>The fingerprint of the container.</summary>
    public string Fingerprint { get; } = UserPodFingerprint.Compute(Pod.Spec, State.Devices);
}
