using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>A file of a cache entry.</summary>
/// <param name="Name">File name in the entry's folder.</param>
/// <param name="Size">Size in bytes.</param>
/// <param name="Sha256">SHA-256 of the content.</param>
/// <param name="Identity">File system metadata at the time of hashing. See <see cref="FileHashes.Identity"/>.</param>
internal sealed record CachedFile(string Name, long Size, string Sha256, string Identity);

/// <summary>
/// Describes the files of a cache entry. It is written last: a folder without a manifest is not an entry, and an entry
/// that does not match its manifest is damaged.
/// </summary>
/// <param name="Key">Key of the entry. Detects a folder that was renamed by hand.</param>
/// <param name="Source">Path of the original model, for operators.</param>
/// <param name="Files">All files except the manifest.</param>
internal sealed record CacheManifest(string Key, string Source, IReadOnlyList<CachedFile> Files)
{
    public const string Name = "manifest";

    /// <summary>Creates the manifest of the files in the folder.</summary>
    public static CacheManifest Describe(string folder, ModelKey key, string source) => new(key.Value, source,
    [
        .. Directory.EnumerateFiles(folder)
            .Where(f => Path.GetFileName(f) != Name)
            .Order(StringComparer.Ordinal)
            .Select(Describe),
    ]);

    /// <summary>
    /// Reads a manifest. Returns null if the file is not a manifest or was changed after it was written.
    /// </summary>
    public static CacheManifest? Parse(Stream file)
    {
        using var reader = new StreamReader(file, leaveOpen: true);
        var (hash, json) = (reader.ReadLine(), reader.ReadToEnd());
        return hash == HashOf(json) ? JsonSerializer.Deserialize(json, CacheJson.Default.CacheManifest) : null;
    }

    /// <summary>Returns the text of the manifest: a line with the hash of the rest, then JSON.</summary>
    public string Text()
    {
        var json = JsonSerializer.Serialize(this, CacheJson.Default.CacheManifest);
        return $"{HashOf(json)}\n{json}";
    }

    /// <summary>
    /// Returns what is wrong with the files, or null. A file whose metadata is unchanged since it was hashed is not
    /// read again, because hashing 200 MB would cost as much time as the cache saves. Any other file is hashed.
    /// </summary>
    public string? Damage(string folder, ModelKey key)
    {
        if (Key != key.Value) return $"its manifest has the key {Key}";
        foreach (var file in Files)
        {
            var path = Path.Combine(folder, file.Name);
            if (FileStat.Read(path) is not { IsFile: true } stat) return $"{file.Name} is missing";
            if (stat.Size != file.Size) return $"{file.Name} has {stat.Size} bytes; expected {file.Size}";
            if (FileHashes.Identity(stat) != file.Identity && FileHashes.Compute(path) != file.Sha256)
                return $"{file.Name} has changed";
        }

        return null;
    }

    private static string HashOf(string json) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json)));

    private static CachedFile Describe(string path)
    {
        var hash = FileHashes.Compute(path);
        var stat = FileStat.Read(path)!.Value;
        return new(Path.GetFileName(path), stat.Size, hash, FileHashes.Identity(stat));
    }
}
