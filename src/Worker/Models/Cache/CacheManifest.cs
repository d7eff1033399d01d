using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>A file of an entry.</summary>
/// <param name="Name">In the entry's folder.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Sha256">Of its content.</param>
/// <param name="Identity">As the file system had it when it was hashed, see <see cref="FileHashes.Identity"/>.</param>
internal sealed record CachedFile(string Name, long Size, string Sha256, string Identity);

/// <summary>Written last into an entry: without it there is no entry, and what it does not describe exactly is damaged.</summary>
/// <param name="Key">The entry's name, against a folder that was renamed by hand.</param>
/// <param name="Source">The model it is a copy of, for people.</param>
/// <param name="Files">All other files.</param>
internal sealed record CacheManifest(string Key, string Source, IReadOnlyList<CachedFile> Files)
{
    public const string Name = "manifest";

    /// <summary>Describes the files that lie in the folder.</summary>
    public static CacheManifest Describe(string folder, ModelKey key, string source) => new(key.Value, source,
        [.. Directory.EnumerateFiles(folder).Where(f => Path.GetFileName(f) != Name).Order(StringComparer.Ordinal).Select(Describe)]);

    /// <summary>Null when it is no manifest, or not as it was written.</summary>
    public static CacheManifest? Parse(Stream file)
    {
        using var reader = new StreamReader(file, leaveOpen: true);
        var (hash, json) = (reader.ReadLine(), reader.ReadToEnd());
        return hash == HashOf(json) ? JsonSerializer.Deserialize(json, CacheJson.Default.CacheManifest) : null;
    }

    /// <summary>A line with the hash of what follows, then JSON.</summary>
    public string Text()
    {
        var json = JsonSerializer.Serialize(this, CacheJson.Default.CacheManifest);
        return $"{HashOf(json)}\n{json}";
    }

    /// <summary>
    /// What is wrong with the files, or null. A file that the file system shows untouched since it was hashed is not read
    /// again (hashing 200 MB would cost what the cache gains); any other is.
    /// </summary>
    public string? Damage(string folder, ModelKey key)
    {
        if (Key != key.Value) return $"its manifest is of {Key}";
        foreach (var file in Files)
        {
            var path = Path.Combine(folder, file.Name);
            if (FileStat.Of(path) is not { IsFile: true } stat) return $"{file.Name} is missing";
            if (stat.Size != file.Size) return $"{file.Name} has {stat.Size} bytes instead of {file.Size}";
            if (FileHashes.Identity(stat) != file.Identity && FileHashes.Compute(path) != file.Sha256) return $"{file.Name} has changed";
        }

        return null;
    }

    private static string HashOf(string json) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json)));

    private static CachedFile Describe(string path)
    {
        var hash = FileHashes.Compute(path);
        var stat = FileStat.Of(path)!.Value;
        return new(Path.GetFileName(path), stat.Size, hash, FileHashes.Identity(stat));
    }
}

[JsonSerializable(typeof(CacheManifest))]
[JsonSerializable(typeof(MakeRequest))]
[JsonSerializable(typeof(TrialRequest))]
internal sealed partial class CacheJson : JsonSerializerContext;
