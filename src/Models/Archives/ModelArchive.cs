using System.Formats.Tar;
using System.IO.Compression;
using Sluice.Models.Downloads;

namespace Sluice.Models.Archives;

/// <summary>
/// Unpacks archives of models. Archives are not trusted: an entry that is not a folder or a regular file, or whose path
/// leaves the folder, rejects the archive as a whole.
/// </summary>
public static class ModelArchive
{
    /// <summary>The bytes that identify the format: the magic of tar is at 257.</summary>
    private const int HeadBytes = 262;

    /// <summary>Folders with these names are part of a model, and no wrapper around it.</summary>
    private static readonly string[] ModelFolders = ["onnx"];

    /// <summary>Returns the format of a file by its first bytes.</summary>
    public static ArchiveFormat Detect(string path)
    {
        Span<byte> head = stackalloc byte[HeadBytes];
        using var file = File.OpenHandle(path);
        head = head[..RandomAccess.Read(file, head, 0)];
        if (head.StartsWith<byte>([0x1f, 0x8b])) return ArchiveFormat.TarGzip;
        if (head.StartsWith("PK\u0003\u0004"u8)) return ArchiveFormat.Zip;
        return head.Length == HeadBytes && head[257..].SequenceEqual("ustar"u8) ? ArchiveFormat.Tar
            : ArchiveFormat.None;
    }

    /// <summary>Unpacks an archive into an empty folder.</summary>
    /// <exception cref="ModelFailureException">The archive is damaged, not safe or too large.</exception>
    /// <exception cref="IOException">A file cannot be written, for example because the disk is full.</exception>
    public static async Task UnpackAsync(string path, string folder, ArchiveLimits limits, CancellationToken ct)
    {
        var writer = new ArchiveWriter(folder, limits);
        try
        {
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
            switch (Detect(path))
            {
                case ArchiveFormat.Zip:
                    await UnpackZipAsync(file, writer, limits, ct);
                    break;
                case ArchiveFormat.TarGzip:
                    await using (var plain = new GZipStream(file, CompressionMode.Decompress))
                        await UnpackTarAsync(new TarEntries(plain, limits.MaxTarBytes), writer, ct);
                    break;
                default:
                    await UnpackTarAsync(new TarEntries(file, limits.MaxTarBytes), writer, ct);
                    break;
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new ModelFailureException($"the archive is damaged: {e.Message}", e);
        }
    }

    /// <summary>
    /// Returns the folder of the model: the given one, or the only folder in it, because archives often contain the
    /// folder with its name. A folder whose name is a version or <c>onnx</c> is part of the model.
    /// </summary>
    public static string FindRoot(string folder) =>
        Directory.GetFileSystemEntries(folder) is [var only] && Directory.Exists(only)
        && !Path.GetFileName(only).All(char.IsAsciiDigit) && !ModelFolders.Contains(Path.GetFileName(only))
            ? only : folder;

    private static async Task UnpackTarAsync(TarEntries entry, ArchiveWriter writer, CancellationToken ct)
    {
        while (await entry.MoveNextAsync(ct))
        {
            // "tar -C folder ." names the entries "./" and "./model.onnx".
            var path = entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name;
            switch (entry.Kind)
            {
                case TarEntryType.Directory when path.Length == 0:
                    break;
                case TarEntryType.Directory:
                    writer.CreateFolder(path);
                    break;
                case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                    await writer.WriteAsync(path, entry.ReadAsync, ct);
                    break;
                default:
                    throw ArchiveWriter.Refuse(path, $"it is a {entry.Kind}", "folders and regular files");
            }
        }
    }

    private static async Task UnpackZipAsync(
        Stream stream, ArchiveWriter writer, ArchiveLimits limits, CancellationToken ct)
    {
        await using var bounded = new BudgetStream(stream, limits.MaxDirectoryBytes);
        using var archive = new ZipArchive(bounded, ZipArchiveMode.Read);
        var entries = archive.Entries;
        bounded.Lift();
        foreach (var entry in entries)
        {
            if (entry.FullName.EndsWith('/'))
            {
                writer.CreateFolder(entry.FullName);
                continue;
            }

            // The upper half has the mode of Unix systems; its first four bits are the kind of the file (stat(2)).
            var kind = (entry.ExternalAttributes >> 16) & 0xF000;
            if (kind is not (0 or 0x8000))
                throw ArchiveWriter.Refuse(entry.FullName, "it is a link or a device", "folders and regular files");
            await using var content = await entry.OpenAsync(ct);
            await writer.WriteAsync(entry.FullName, content.ReadAsync, ct);
        }
    }
}
