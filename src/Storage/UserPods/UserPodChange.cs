namespace Sluice.Storage.UserPods;

/// <summary>The result of a change of a pod's declaration.</summary>
public enum UserPodChange
{
    Stored,

    /// <summary>The pod does not exist.</summary>
    Missing,

    /// <summary>The pod was changed since it was read. The caller reads it again and repeats the change.</summary>
    Conflict,

    /// <summary>The maximum number of pods exists.</summary>
    Full,
}
