using Sluice.Domain.UserPods;

namespace Sluice.Storage.UserPods;

/// <summary>A pod with everything that is stored of it.</summary>
/// <param name="Pod">The declaration.</param>
/// <param name="State">What its controller observed; the default if none has looked at it yet.</param>
/// <param name="Node">The node that it is assigned to; null: none yet.</param>
public sealed record UserPodEntry(UserPod Pod, UserPodState State, string? Node);
