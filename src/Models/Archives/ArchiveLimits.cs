namespace Sluice.Models.Archives;

/// <summary>Limits of the content of an archive. An archive states sizes that are not trusted.</summary>
/// <param name="MaxBytes">Maximum sum of the sizes of the files after decompression.</param>
/// <param name="MaxEntries">Maximum number of files and folders.</param>
public sealed record ArchiveLimits(long MaxBytes, int MaxEntries = 100_000)
{
    /// <summary>Bytes of a tar file besides the content of one entry: its header, its attributes and padding.</summary>
    private const int EntryOverhead = 4096;

    /// <summary>Bytes of the directory of a zip file for one entry: a path of 110 characters has 160.</summary>
    private const int DirectoryEntry = 160;

    /// <summary>Maximum number of bytes of a tar file after decompression.</summary>
    public long MaxTarBytes => MaxBytes + ((long)MaxEntries * EntryOverhead);

    /// <summary>Maximum size of the directory of a zip file, which is read into memory.</summary>
    public long MaxDirectoryBytes => (long)MaxEntries * DirectoryEntry;
}
