namespace Sluice.Domain.UserPods;

/// <summary>The state of a container or process.</summary>
public enum UserPodInstanceState
{
    /// <summary>It was created and has not run yet.</summary>
    Created,

    Running,

    Exited,
}
