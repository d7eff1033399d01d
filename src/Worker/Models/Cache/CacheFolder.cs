using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// The folder that worker processes share: an entry is a folder named by its key, complete from the moment it has that
/// name (rename is atomic) until it loses it. Readers hold a shared lock on the manifest, whoever removes an entry an exclusive
/// one; makers and removers work one at a time under <c>make.lock</c>. Locks are flock(2): the kernel drops those of the dead.
/// </summary>
internal sealed class CacheFolder(string folder, TimeProvider time)
{
    public const string ModelName = "model.onnx", DataName = "model.data";

    private const string Temporary = "tmp-";

    public string Path => folder;

    public FileHashes Hashes { get; } = new(folder, time);

    /// <summary>Makes the folder, for this user alone; throws <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>
    /// when it cannot be made or is somebody else's.</summary>
    public void Create()
    {
        if (OperatingSystem.IsWindows()) throw new UnauthorizedAccessException("the model cache needs Unix permissions");
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (Distrust() is { } why) throw new UnauthorizedAccessException(why);
    }

    /// <summary>The entry, held, or null when there is none or it cannot be trusted; a damaged one is removed.</summary>
    public CachedModel? TryOpen(ModelKey key, out string? damage)
    {
        damage = null;
        var entry = Entry(key);
        FileStream? hold = null;
        try
        {
            if (!File.Exists(Manifest(entry)) || Distrust() is not null) return null;
            hold = Hold(entry, FileShare.Read);
            damage = CacheManifest.Parse(hold) is { } manifest ? manifest.Damage(entry, key) : "its manifest cannot be read";
            // Removed between the look and the lock: the name leads elsewhere now.
            if (damage is null && File.Exists(Manifest(entry)))
            {
                Touch(entry);
                var model = new CachedModel(System.IO.Path.Combine(entry, ModelName), hold);
                hold = null;
                return model;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Being removed at this moment, or unreadable.
            return null;
        }
        finally
        {
            hold?.Dispose();
        }

        if (damage is not null) Remove(entry);
        return null;
    }

    public bool Has(ModelKey key) => File.Exists(Manifest(Entry(key)));

    /// <summary>Why no copy is made or used under this key, and how to allow it again; null: it is not refused.</summary>
    public string? Refusal(ModelKey key)
    {
        var path = RefusalOf(key);
        try
        {
            return File.Exists(path) ? $"{File.ReadAllText(path).Trim()} (to try again delete {path})" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{path} cannot be read: {e.Message}";
        }
    }

    /// <summary>Deletes the entry, and records that it is never made again; returns <see cref="Refusal"/>.</summary>
    public string Refuse(ModelKey key, string reason)
    {
        var path = RefusalOf(key);
        var temporary = $"{path}.{Guid.NewGuid():N}";
        File.WriteAllText(temporary, $"refused since {time.GetUtcNow():yyyy-MM-dd}: {reason}\n");
        File.Move(temporary, path, overwrite: true);
        Remove(key);
        return Refusal(key)!;
    }

    /// <summary>Marks that this process loads the entry and runs it for the first time; to be disposed of after that run.</summary>
    public LoadMark MarkLoad(ModelKey key) => LoadMark.Create(folder, key.Value, time);

    /// <summary>The mark of a process that ended while it loaded the entry or ran it for the first time; null: none did.</summary>
    public string? DeadLoad(ModelKey key) => LoadMark.TakeDead(folder, key.Value);

    /// <summary>Waits until no other process makes or removes anything, and clears what a killed one left.</summary>
    public IDisposable LockForMaking()
    {
        var file = FileLock.Take(System.IO.Path.Combine(folder, "make.lock"));
        foreach (var left in Directory.EnumerateDirectories(folder, Temporary + "*")) Delete(left);
        return file;
    }

    /// <summary>A new folder to make an entry in, on the same file system.</summary>
    public string Begin() => Directory.CreateDirectory(System.IO.Path.Combine(folder, $"{Temporary}{Guid.NewGuid():N}")).FullName;

    /// <summary>Writes the manifest behind all else, everything to disk, and gives the folder its name.</summary>
    public void Publish(string made, ModelKey key, string source)
    {
        foreach (var file in Directory.EnumerateFiles(made)) Flush(file);
        var manifest = CacheManifest.Describe(made, key, source);
        File.WriteAllText(Manifest(made), manifest.Text());
        Flush(Manifest(made));
        // Without a manifest, or Has would have said so: a name that somebody emptied by hand.
        if (Directory.Exists(Entry(key))) Directory.Delete(Entry(key), recursive: true);
        Directory.Move(made, Entry(key));
    }

    /// <summary>Removes the least recently used entries that nobody holds until the rest fits; under the lock for making.
    /// Gives the bytes that are left.</summary>
    public long Shrink(long maxBytes)
    {
        var entries = Directory.EnumerateDirectories(folder).Where(e => File.Exists(Manifest(e)))
            .Select(e => (Path: e, Used: File.GetLastWriteTimeUtc(Manifest(e)), Bytes: SizeOf(e))).OrderBy(e => e.Used).ToList();
        var total = entries.Sum(e => e.Bytes);
        foreach (var entry in entries)
        {
            if (total <= maxBytes) break;
            if (Remove(entry.Path)) total -= entry.Bytes;
        }

        return total;
    }

    /// <summary>Bytes of the files in a folder.</summary>
    public static long SizeOf(string entry) => new DirectoryInfo(entry).EnumerateFiles().Sum(f => f.Length);

    /// <summary>Removes an entry unless somebody holds it.</summary>
    public bool Remove(ModelKey key) => Remove(Entry(key));

    private bool Remove(string entry)
    {
        try
        {
            using var hold = Hold(entry, FileShare.None);
            // Out of its name first: a reader finds all of it or none.
            var gone = System.IO.Path.Combine(folder, $"{Temporary}{Guid.NewGuid():N}");
            Directory.Move(entry, gone);
            Delete(gone);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Copies are loaded unseen, so the folder must be this user's and nobody else's to write.</summary>
    private string? Distrust()
    {
        if (FileStat.Of(folder) is not { IsFolder: true } stat) return $"{folder} is no folder";
        if (stat.Owner != CacheSettings.UserId()) return $"{folder} belongs to user {stat.Owner}";
        return stat.OthersMayWrite ? $"{folder} can be written by others" : null;
    }

    private void Touch(string entry)
    {
        try
        {
            File.SetLastWriteTimeUtc(Manifest(entry), time.GetUtcNow().UtcDateTime);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A read-only folder: nobody removes from it either.
        }
    }

    private static void Delete(string temporary)
    {
        try
        {
            Directory.Delete(temporary, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody else deletes it too, or the next maker will.
        }
    }

    private static FileStream Hold(string entry, FileShare share) =>
        new(Manifest(entry), FileMode.Open, FileAccess.Read, share);

    private static void Flush(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(file);
    }

    private static string Manifest(string entry) => System.IO.Path.Combine(entry, CacheManifest.Name);

    private string RefusalOf(ModelKey key) => System.IO.Path.Combine(folder, $"{key.Value}.refused");

    private string Entry(ModelKey key) => System.IO.Path.Combine(folder, key.Value);
}
