using System.Formats.Tar;
using System.IO.Compression;
using Sluice.Models.Downloads;

namespace Sluice.Models.Archives;

/// <summary>
/// Applies the layers of an image in order (OCI image specification, "Image Layer Filesystem Changeset"), but only the
/// content of one folder. Entries elsewhere are ignored, whatever they are.
/// </summary>
/// <param name="source">The folder in the image, without a slash at its ends.</param>
/// <param name="target">Receives its content.</param>
/// <param name="limits">Limits of all layers together.</param>
public sealed class ImageLayers(string source, string target, ArchiveLimits limits)
{
    /// <summary>A file whose name begins with this deletes the file of the lower layers with the rest of the name.
    /// </summary>
    private const string Whiteout = ".wh.";

    /// <summary>A file with this name deletes everything that lower layers have in its folder.</summary>
    private const string Opaque = ".wh..wh..opq";

    private readonly ArchiveWriter writer = new(target, limits) { Replaces = true };

    /// <summary>Applies one layer, a tar file that may be compressed with gzip.</summary>
    /// <exception cref="ModelFailureException">The layer is damaged, not safe or too large.</exception>
    public async Task ApplyAsync(string path, CancellationToken ct)
    {
        try
        {
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
            if (ModelArchive.Detect(path) != ArchiveFormat.TarGzip) await ApplyAsync(file, ct);
            else
            {
                await using var plain = new GZipStream(file, CompressionMode.Decompress);
                await ApplyAsync(plain, ct);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new ModelFailureException($"a layer is damaged: {e.Message}", e);
        }
    }

    private async Task ApplyAsync(Stream stream, CancellationToken ct)
    {
        await using var reader = new TarReader(stream);
        while (await reader.GetNextEntryAsync(copyData: false, ct) is { } entry)
        {
            if (Within(entry.Name) is not { Length: > 0 } path) continue;
            if (!SafePath.IsSafe(path.TrimEnd('/')))
                throw ArchiveWriter.Refuse(path, "its path is not safe", SafePath.Rule);
            var name = Path.GetFileName(path);
            if (name == Opaque) Clear(Path.GetDirectoryName(path)!);
            else if (name.StartsWith(Whiteout, StringComparison.Ordinal))
                Delete(Path.Combine(Path.GetDirectoryName(path)!, name[Whiteout.Length..]));
            else if (entry.EntryType == TarEntryType.Directory) writer.CreateFolder(path);
            else if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile)
                await writer.WriteAsync(path, entry.DataStream ?? Stream.Null, ct);
            else throw ArchiveWriter.Refuse(path, $"it is a {entry.EntryType}", "folders and regular files");
        }
    }

    /// <summary>Returns the path below the folder; null: it is elsewhere.</summary>
    private string? Within(string name)
    {
        var path = name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name.TrimStart('/');
        return path.StartsWith(source + "/", StringComparison.Ordinal) ? path[(source.Length + 1)..] : null;
    }

    private void Clear(string folder)
    {
        var path = Path.Combine(target, folder);
        if (!Directory.Exists(path)) return;
        foreach (var entry in Directory.GetFileSystemEntries(path)) Delete(Path.GetRelativePath(target, entry));
    }

    private void Delete(string entry)
    {
        if (!SafePath.IsSafe(entry)) throw ArchiveWriter.Refuse(entry, "its path is not safe", SafePath.Rule);
        var path = Path.Combine(target, entry);
        if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        else File.Delete(path);
    }
}
