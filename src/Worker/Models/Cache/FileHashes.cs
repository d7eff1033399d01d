using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// SHA-256 of files, remembered by path, size, inode and times: a start must not read gigabytes to learn that nothing changed.
/// The time of change (ctime) is part of it, which no program can set.
/// </summary>
internal sealed class FileHashes(string folder, TimeProvider time)
{
    /// <summary>A file changed this shortly before it was read may change again within one tick of the file system's
    /// clock (4 to 10 ms; 2 s on FAT), unseen: its hash is not remembered.</summary>
    private static readonly TimeSpan Racy = TimeSpan.FromSeconds(2);

    /// <summary>The hash of the file as it is now, if it was hashed before; costs one stat and one small file.</summary>
    public string? Remembered(string path)
    {
        try
        {
            return FileStat.Of(path) is { } stat && File.ReadAllText(NoteOf(path)).Split('\n') is [var identity, var hash]
                && identity == Identity(stat) && hash.Length == 64 ? hash : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The hash, read from the file when it is not remembered, and then remembered.</summary>
    public string Get(string path)
    {
        if (Remembered(path) is { } known) return known;
        var before = FileStat.Of(path) ?? throw new FileNotFoundException($"{path} does not exist", path);
        var hash = Compute(path);
        if (FileStat.Of(path) is not { } after || Identity(before) != Identity(after))
            throw new IOException($"{path} changed while it was read");
        var now = (Int128)(time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
        if (now - after.Changed > (Int128)Racy.Ticks * 100) Remember(path, after, hash);
        return hash;
    }

    /// <summary>Reads the whole file; lowercase hexadecimal.</summary>
    public static string Compute(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 20, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>What changes whenever the content does. The device is left out: a container's layers get a new number at each mount.</summary>
    public static string Identity(FileStat stat) => string.Create(CultureInfo.InvariantCulture,
        $"{stat.Size} {stat.Inode} {stat.Modified} {stat.Changed}");

    private void Remember(string path, FileStat stat, string hash)
    {
        var note = NoteOf(path);
        Directory.CreateDirectory(Path.GetDirectoryName(note)!);
        var temporary = $"{note}.{Guid.NewGuid():N}";
        File.WriteAllText(temporary, $"{Identity(stat)}\n{hash}");
        File.Move(temporary, note, overwrite: true);
    }

    private string NoteOf(string path) => Path.Combine(folder, "hashes",
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(path)))));
}
