using System.Text.Json.Serialization;

namespace Sluice.Domain.UserPods;

/// <summary>What the controller of a pod observed last. The default is a pod that nothing was done for yet.</summary>
public sealed record UserPodState
{
    public UserPodStatus Status { get; init; } = UserPodStatus.Provisioning;

    /// <summary>The reason of the status or of a wait, for operators.</summary>
    public string Reason { get; init; } = "";

    /// <summary>UUIDs of the GPUs or MIG slices that it holds.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>Its share of its device's memory, MiB; null: the whole device is its own.</summary>
    public long? ShareMiB { get; init; }

    /// <summary>Number of restarts that were carried out; see <see cref="UserPod.Restarts"/>.</summary>
    public int Restarted { get; init; }

    /// <summary>Consecutive failed starts, and exits soon after a start.</summary>
    public int Failures { get; init; }

    /// <summary>Not before this time is it started again; null: immediately.</summary>
    public DateTimeOffset? RetryAt { get; init; }

    /// <summary>When the container began to run; null: it has not since the pod's last stop.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? StoppedAt { get; init; }

    /// <summary>Addresses of its ports while its container runs.</summary>
    public IReadOnlyList<UserPodAddress> Addresses { get; init; } = [];

    /// <summary>Whether it holds a container that uses resources: it runs, or may run.</summary>
    [JsonIgnore]
    public bool IsUp => Status is UserPodStatus.Starting or UserPodStatus.Running;

    /// <summary>Compares two states by value, lists included.</summary>
    public bool IsSame(UserPodState other) =>
        this with { Devices = [], Addresses = [] } == other with { Devices = [], Addresses = [] }
        && Devices.SequenceEqual(other.Devices) && Addresses.SequenceEqual(other.Addresses);
}
