namespace Sluice.Domain.Declarations;

/// <summary>When an image is pulled.</summary>
public enum PullPolicy
{
    /// <summary>If the daemon does not have the image.</summary>
    Missing,

    /// <summary>Before each start, because a tag may refer to another image than before.</summary>
    Always,

    /// <summary>Never: the image was built or loaded on the machine of the daemon.</summary>
    Never,
}
