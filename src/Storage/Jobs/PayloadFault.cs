namespace Sluice.Storage.Jobs;

/// <summary>The kinds of failure of the payload folder.</summary>
public enum PayloadFault
{
    /// <summary>The file cannot be read or written: a disk error, or a missing permission.</summary>
    Broken,

    /// <summary>
    /// The shared folder is not mounted, or another folder is in its place. This affects only this gateway, until the
    /// share is available again.
    /// </summary>
    Unavailable,

    /// <summary>The disk of the folder is full, or its quota is exhausted.</summary>
    Full,

    /// <summary>The folder is available, but the file is not in it.</summary>
    Lost,
}
