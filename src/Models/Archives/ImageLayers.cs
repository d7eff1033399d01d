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
            if (ModelArchive.Detect(path) != ArchiveFormat.TarGzip)
                await ApplyAsync(new TarEntries(file, limits.MaxTarBytes), ct);
            else
            {
                await using var plain = new GZipStream(file, CompressionMode.Decompress);
                await ApplyAsync(new TarEntries(plain, limits.MaxTarBytes), ct);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new ModelFailureException($"a layer is damaged: {e.Message}", e);
        }
    }

    private async Task ApplyAsync(TarEntries entry, CancellationToken ct)
    {
        while (await entry.MoveNextAsync(ct))
        {
            // The folder as a whole is deleted by a whiteout beside it, or by one for everything beside it.
            var name = Normalize(entry.Name);
            if (name == Opaque || name == Whiteout + source) Clear("");
            if (Within(name) is not { Length: > 0 } path) continue;
            if (!SafePath.IsSafe(path.TrimEnd('/')))
                throw ArchiveWriter.Refuse(path, "its path is not safe", SafePath.Rule);
            var last = Path.GetFileName(path);
            if (last == Opaque) Clear(Path.GetDirectoryName(path)!);
            else if (last.StartsWith(Whiteout, StringComparison.Ordinal))
                Delete(Path.Combine(Path.GetDirectoryName(path)!, last[Whiteout.Length..]));
            else if (entry.Kind == TarEntryType.Directory) writer.CreateFolder(path);
            else if (entry.Kind is TarEntryType.RegularFile or TarEntryType.V7RegularFile)
                await writer.WriteAsync(path, entry.ReadAsync, ct);
            else throw ArchiveWriter.Refuse(path, $"it is a {entry.Kind}", "folders and regular files");
        }
    }

    /// <summary>Returns the path below the folder; null: it is elsewhere.</summary>
    private string? Within(string path) =>
        path.StartsWith(source + "/", StringComparison.Ordinal) ? path[(source.Length + 1)..] : null;

    private static string Normalize(string name) =>
        name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name.TrimStart('/');

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
