namespace Sluice.Domain.UserPods;

/// <summary>The container or process of a pod, as its host reports it.</summary>
public sealed record UserPodInstance
{
    public required string PodId { get; init; }

    public required UserPodInstanceState State { get; init; }

    /// <summary>The <see cref="UserPodFingerprint"/> that it was created from.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>UUIDs of its devices.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>Why it exited, for operators; empty while it runs.</summary>
    public string Exit { get; init; } = "";

    /// <summary>How long it ran or has run; null: unknown.</summary>
    public TimeSpan? Ran { get; init; }

    /// <summary>Addresses of its ports; empty unless it runs.</summary>
    public IReadOnlyList<UserPodAddress> Addresses { get; init; } = [];

    /// <summary>The pod as it was declared when the container was created; null: the host does not store it.</summary>
    public UserPod? Declared { get; init; }
}
