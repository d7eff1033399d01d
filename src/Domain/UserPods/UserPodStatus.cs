using System.Text.Json.Serialization;

namespace Sluice.Domain.UserPods;

/// <summary>The observed state of a pod. The names are those of RunPod's API.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<UserPodStatus>))]
public enum UserPodStatus
{
    /// <summary>It waits for a GPU, or its image is pulled.</summary>
    Provisioning,

    /// <summary>Its container runs, and its first HTTP port does not respond yet.</summary>
    Starting,

    Running,

    /// <summary>It was stopped, or its program exited.</summary>
    Exited,

    /// <summary>It cannot be started. The reason says why; it is tried again only after an action of a user.</summary>
    Error,

    Terminated,
}
