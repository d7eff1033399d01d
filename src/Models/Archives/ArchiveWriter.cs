using System.Buffers;
using Sluice.Models.Downloads;

namespace Sluice.Models.Archives;

/// <summary>
/// Writes the entries of one archive below a folder, and counts them against the limits. It creates only folders and
/// regular files, so no later entry can lead through a link.
/// </summary>
internal sealed class ArchiveWriter(string folder, ArchiveLimits limits)
{
    private const int BufferBytes = 256 << 10;

    private long bytes;
    private int entries;

    /// <summary>Whether a later entry replaces an earlier one with its path, as in the layers of an image.</summary>
    public bool Replaces { get; init; }

    /// <summary>Creates a folder.</summary>
    public void CreateFolder(string path)
    {
        var name = path.TrimEnd('/');
        CreateParents(name, Path.Combine(Count(name), "."));
    }

    /// <summary>Writes a file. Its size is what the content has, not what the archive states.</summary>
    /// <param name="path">The path in the archive.</param>
    /// <param name="read">Reads content into a buffer; returns 0 at its end.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task WriteAsync(
        string path, Func<Memory<byte>, CancellationToken, ValueTask<int>> read, CancellationToken ct)
    {
        var target = Count(path);
        if (Replaces && File.Exists(target)) File.Delete(target);
        if (Path.Exists(target)) throw Refuse(path, "it is in the archive twice", "each path once");
        CreateParents(path, target);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var file = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            while (await read(buffer, ct) is var n and > 0)
            {
                bytes += n;
                if (bytes > limits.MaxBytes)
                    throw Refuse(path, $"the files have more than {limits.MaxBytes} bytes", "a smaller archive");
                await file.WriteAsync(buffer.AsMemory(0, n), ct);
            }

            RandomAccess.FlushToDisk(file.SafeFileHandle);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Creates the error of an entry.</summary>
    public static ModelFailureException Refuse(string path, string problem, string expected) =>
        new($"archive entry '{SafePath.Printable(path)}': {problem}; expected {expected}");

    private static void CreateParents(string path, string target)
    {
        var parent = Path.GetDirectoryName(target)!;
        // An earlier entry may be a file with the name of this folder.
        for (var at = parent; !Directory.Exists(at); at = Path.GetDirectoryName(at)!)
            if (File.Exists(at)) throw Refuse(path, "a file has the name of its folder", "each path once");
        Directory.CreateDirectory(parent);
    }

    private string Count(string path)
    {
        if (!SafePath.IsSafe(path)) throw Refuse(path, "its path is not safe", SafePath.Rule);
        if (++entries > limits.MaxEntries)
            throw Refuse(path, $"the archive has more than {limits.MaxEntries} entries", "fewer entries");
        return Path.Combine(folder, path);
    }
}
