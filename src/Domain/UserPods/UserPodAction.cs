namespace Sluice.Domain.UserPods;

/// <summary>What the controller of a pod does next.</summary>
public enum UserPodAction
{
    None,

    /// <summary>Get devices, if it needs some, then the image, then create and start a container.</summary>
    Create,

    /// <summary>Start the container that exists.</summary>
    Start,

    /// <summary>Restart the container that runs.</summary>
    Restart,

    /// <summary>Stop the container, and keep it.</summary>
    Stop,

    /// <summary>Stop and delete the container.</summary>
    Remove,

    /// <summary>Delete the volume. No container exists.</summary>
    RemoveVolume,

    /// <summary>Check whether the first HTTP port responds.</summary>
    Probe,
}
