namespace Sluice.Models.Archives;

/// <summary>The formats of archives.</summary>
public enum ArchiveFormat
{
    /// <summary>Not an archive.</summary>
    None,

    Tar,

    /// <summary>A tar file that is compressed with gzip.</summary>
    TarGzip,

    Zip,
}
