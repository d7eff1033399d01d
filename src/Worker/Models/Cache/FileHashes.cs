using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// SHA-256 hashes of files, stored by path, size, inode and times, so that a start does not read gigabytes to find
/// out that nothing changed. The key includes the time of change (ctime), which no program can set.
/// </summary>
internal sealed class FileHashes(string folder, TimeProvider time)
{
    /// <summary>
    /// The hash of a file that changed this shortly before it was read is not stored. The file can change again
    /// within one tick of the file system's clock (4 to 10 ms; 2 s on FAT) without a new time.
    /// </summary>
    private static readonly TimeSpan Racy = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Returns the hash of the file as it is now, if it is stored. Costs one stat call and reading one small file.
    /// </summary>
    public string? Remembered(string path)
    {
        try
        {
            return FileStat.Read(path) is { } stat
                && File.ReadAllText(NoteOf(path)).Split('\n') is [var identity, var hash]
                && identity == Identity(stat) && hash.Length == 64 ? hash : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Returns the stored hash, or reads the file and stores its hash.</summary>
    public string Get(string path)
    {
        if (Remembered(path) is { } known) return known;
        var before = FileStat.Read(path) ?? throw new FileNotFoundException($"{path} does not exist", path);
        var hash = Compute(path);
        if (FileStat.Read(path) is not { } after || Identity(before) != Identity(after))
            throw new IOException($"{path} changed while it was read");
        var now = (Int128)(time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
        if (now - after.Changed > (Int128)Racy.Ticks * 100) Remember(path, after, hash);
        return hash;
    }

    /// <summary>Reads the whole file and returns its hash as lowercase hexadecimal digits.</summary>
    public static string Compute(string path)
    {
        using var file = new FileStream(
            path,
            FileMode.Open,
            FileAccess.Read,
            FileShare.ReadWrite | FileShare.Delete,
            1 << 20,
            FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>
    /// Returns metadata that changes whenever the content changes. The device number is not included, because the
    /// layers of a container get a new number at each mount.
    /// </summary>
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
