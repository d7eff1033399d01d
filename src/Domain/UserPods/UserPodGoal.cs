using System.Text.Json.Serialization;

namespace Sluice.Domain.UserPods;

/// <summary>The state that a pod should have.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<UserPodGoal>))]
public enum UserPodGoal
{
    Running,

    /// <summary>No process runs and no GPU is held. Container and volume are kept.</summary>
    Stopped,

    /// <summary>Container and volume are deleted.</summary>
    Terminated,
}
