namespace Sluice.Models.Archives;

/// <summary>Limits of the content of an archive. An archive states sizes that are not trusted.</summary>
/// <param name="MaxBytes">Maximum sum of the sizes of the files after decompression.</param>
/// <param name="MaxEntries">Maximum number of files and folders.</param>
public sealed record ArchiveLimits(long MaxBytes, int MaxEntries = 100_000);
