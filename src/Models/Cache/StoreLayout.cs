using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Cache;

/// <summary>
/// The folders of the store: <c>models/KEY</c> with <c>model.json</c>, <c>used</c>, <c>files</c> and a repository for
/// each name; <c>partial/KEY</c> with an incomplete download; <c>locks</c>.
/// </summary>
internal sealed class StoreLayout
{
    private readonly string root;

    public StoreLayout(string root)
    {
        this.root = root;
        foreach (var folder in new[] { "models", "partial", "locks", "trash", "folders" })
            Directory.CreateDirectory(Path.Combine(root, folder));
    }

    /// <summary>Returns the key of a declaration: 32 hexadecimal digits.</summary>
    public static string Key(ModelDeclaration model) => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes(string.Join('\n', [model.Source, model.Sha256, .. model.Files]))))[..32];

    public string Root => root;

    public string Model(string key) => Path.Combine(root, "models", key);

    public string Files(string key) => Path.Combine(Model(key), "files");

    public string Partial(string key) => Path.Combine(root, "partial", key);

    /// <summary>The lock that a worker's host holds while the worker may read the model.</summary>
    public string UseLock(string key) => Path.Combine(root, "locks", key);

    public string DownloadLock(string key) => Path.Combine(root, "locks", key + ".download");

    /// <summary>Free bytes of the disk.</summary>
    public long FreeBytes => new DriveInfo(root).AvailableFreeSpace;

    /// <summary>Returns the description of a complete model; null: there is none.</summary>
    public StoredModel? Read(string key)
    {
        try
        {
            return JsonSerializer.Deserialize(
                File.ReadAllText(Path.Combine(Model(key), "model.json")), StoreJson.Default.StoredModel);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The folder for repositories of a folder that is not in the store.</summary>
    public string ForFolder(string folder) => Path.Combine(root, "folders",
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..32]);

    /// <summary>Publishes the files of a download as a model, in one step.</summary>
    public void Publish(string key, string files, StoredModel description)
    {
        var made = Path.Combine(Partial(key), "entry");
        if (Directory.Exists(made)) Directory.Delete(made, recursive: true);
        Directory.CreateDirectory(made);
        Directory.Move(files, Path.Combine(made, "files"));
        FolderAccess.Share(made);
        using (var file = new FileStream(Path.Combine(made, "model.json"), FileMode.Create))
        {
            JsonSerializer.Serialize(file, description, StoreJson.Default.StoredModel);
            file.Flush(flushToDisk: true);
        }

        File.WriteAllText(Path.Combine(made, "used"), "");
        FolderSync.Flush(made);
        Directory.Move(made, Model(key));
        FolderSync.Flush(Path.Combine(root, "models"));
        Directory.Delete(Partial(key), recursive: true);
    }

    /// <summary>Records that a worker is started with a model, for the order of eviction.</summary>
    public void MarkUsed(string key, DateTimeOffset now) =>
        File.SetLastWriteTimeUtc(Path.Combine(Model(key), "used"), now.UtcDateTime);

    /// <summary>
    /// Deletes a model or an incomplete download if no process uses it. A reader sees all of it or nothing.
    /// </summary>
    public bool TryDelete(string key)
    {
        using var download = StoreLock.TryExclusive(DownloadLock(key));
        using var use = download is null ? null : StoreLock.TryExclusive(UseLock(key));
        if (use is null) return false;
        foreach (var folder in new[] { Model(key), Partial(key) }.Where(Directory.Exists))
        {
            var trash = Path.Combine(root, "trash", Guid.NewGuid().ToString("N"));
            Directory.Move(folder, trash);
            Directory.Delete(trash, recursive: true);
        }

        return true;
    }

    /// <summary>Returns what the store has. Whether an entry is in use can change at any time.</summary>
    /// <param name="except">The key of the model that room is made for.</param>
    public IReadOnlyList<StoreEntry> List(string? except = null)
    {
        var entries = new List<StoreEntry>();
        foreach (var key in Keys("models").Union(Keys("partial")).Where(k => k != except))
        {
            var stored = Read(key);
            var partial = new DirectoryInfo(Partial(key));
            var bytes = stored?.Bytes ?? Size(partial);
            var used = stored is null ? partial.LastWriteTimeUtc
                : File.GetLastWriteTimeUtc(Path.Combine(Model(key), "used"));
            entries.Add(new StoreEntry(key, bytes, new DateTimeOffset(used, TimeSpan.Zero), IsInUse(key)));
        }

        return entries;
    }

    private IEnumerable<string> Keys(string folder) =>
        Directory.EnumerateDirectories(Path.Combine(root, folder)).Select(f => Path.GetFileName(f)!);

    private bool IsInUse(string key)
    {
        using var download = StoreLock.TryExclusive(DownloadLock(key));
        using var use = StoreLock.TryExclusive(UseLock(key));
        return download is null || use is null;
    }

    private static long Size(DirectoryInfo folder)
    {
        try
        {
            return folder.EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
        }
        catch (IOException)
        {
            // A file got its final name, or the folder was deleted, during the enumeration.
            return 0;
        }
    }
}
