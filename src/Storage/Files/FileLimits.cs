namespace Sluice.Storage.Files;

/// <summary>The limits for the files of one API key. Zero: no limit.</summary>
/// <param name="Files">The number of files.</param>
/// <param name="Bytes">Their bytes together.</param>
public readonly record struct FileLimits(int Files, long Bytes)
{
    /// <summary>The limits for files that the gateway itself writes, such as the output of a batch.</summary>
    public static FileLimits None => default;
}
