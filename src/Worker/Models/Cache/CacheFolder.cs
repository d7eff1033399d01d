using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// The cache folder, shared by worker processes. An entry is a folder named by its key. Creation and deletion rename
/// the folder atomically, so an entry under its key is always complete. Readers hold a shared lock on the manifest;
/// deletion takes an exclusive lock. Processes that create or delete entries run one at a time under
/// <c>make.lock</c>. Locks are flock(2) locks, so the kernel releases them when a process ends.
/// </summary>
internal sealed class CacheFolder(string folder, TimeProvider time)
{
    public const string ModelName = "model.onnx", DataName = "model.data";

    private const string Temporary = "tmp-";

    public string Path => folder;

    public FileHashes Hashes { get; } = new(folder, time);

    /// <summary>Creates the folder with access for the current user only.</summary>
    /// <exception cref="IOException">The folder cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be created, or another user owns or can write
    /// it.</exception>
    public void Create()
    {
        if (OperatingSystem.IsWindows())
            throw new UnauthorizedAccessException("the model cache requires Unix permissions");
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (Distrust() is { } why) throw new UnauthorizedAccessException(why);
    }

    /// <summary>
    /// Opens and locks the entry. Returns null if there is none or if it cannot be trusted. Deletes a damaged entry.
    /// </summary>
    public CachedModel? TryOpen(ModelKey key, out string? damage)
    {
        damage = null;
        var entry = Entry(key);
        FileStream? hold = null;
        try
        {
            if (!File.Exists(Manifest(entry)) || Distrust() is not null) return null;
            hold = OpenLocked(entry, FileShare.Read);
            damage = CacheManifest.Parse(hold) is { } manifest
                ? manifest.Damage(entry, key)
                : "its manifest cannot be read";
            // Another process can delete the entry between the check and the lock. Its path is then gone.
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
            // Another process is deleting the entry, or it is unreadable.
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

    /// <summary>
    /// Returns why no copy is made or used under this key, and how to allow it again. Null if the key is not refused.
    /// </summary>
    public string? Refusal(ModelKey key)
    {
        var path = RefusalOf(key);
        try
        {
            return File.Exists(path) ? $"{File.ReadAllText(path).Trim()} (to try again, delete {path})" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{path} cannot be read: {e.Message}";
        }
    }

    /// <summary>
    /// Deletes the entry and records that no copy is made for this key again. Returns the same text as
    /// <see cref="Refusal"/>.
    /// </summary>
    public string Refuse(ModelKey key, string reason)
    {
        var path = RefusalOf(key);
        var temporary = $"{path}.{Guid.NewGuid():N}";
        File.WriteAllText(temporary, $"refused since {time.GetUtcNow():yyyy-MM-dd}: {reason}\n");
        File.Move(temporary, path, overwrite: true);
        Remove(key);
        return Refusal(key)!;
    }

    /// <summary>
    /// Creates a mark that this process loads the entry and runs it for the first time. Dispose the mark after that
    /// run.
    /// </summary>
    public LoadMark MarkLoad(ModelKey key) => LoadMark.Create(folder, key.Value, time);

    /// <summary>
    /// Returns the mark of a process that ended while it loaded the entry or ran it for the first time. Null if there
    /// is none.
    /// </summary>
    public string? DeadLoad(ModelKey key) => LoadMark.TakeDead(folder, key.Value);

    /// <summary>
    /// Waits until no other process creates or deletes entries, and deletes temporary folders of killed processes.
    /// </summary>
    public IDisposable LockForMaking()
    {
        var file = FileLock.Acquire(System.IO.Path.Combine(folder, "make.lock"));
        foreach (var left in Directory.EnumerateDirectories(folder, Temporary + "*")) Delete(left);
        return file;
    }

    /// <summary>Creates a temporary folder for a new entry, on the same file system.</summary>
    public string CreateTemporary() => Directory.CreateDirectory(TemporaryPath()).FullName;

    /// <summary>
    /// Writes the manifest last, flushes all files to disk, and renames the temporary folder to its key.
    /// </summary>
    public void Publish(string made, ModelKey key, string source)
    {
        foreach (var file in Directory.EnumerateFiles(made)) Flush(file);
        var manifest = CacheManifest.Describe(made, key, source);
        File.WriteAllText(Manifest(made), manifest.Text());
        Flush(Manifest(made));
        // This folder has no manifest, because otherwise Has would have returned true. Its files were deleted by hand.
        if (Directory.Exists(Entry(key))) Directory.Delete(Entry(key), recursive: true);
        Directory.Move(made, Entry(key));
    }

    /// <summary>
    /// Deletes the least recently used entries that no process holds, until the rest fits. The caller holds the lock
    /// for making. Returns the bytes that remain.
    /// </summary>
    public long Shrink(long maxBytes)
    {
        var entries = Directory.EnumerateDirectories(folder).Where(e => File.Exists(Manifest(e)))
            .Select(e => (Path: e, Used: File.GetLastWriteTimeUtc(Manifest(e)), Bytes: SizeOf(e)))
            .OrderBy(e => e.Used).ToList();
        var total = entries.Sum(e => e.Bytes);
        foreach (var entry in entries)
        {
            if (total <= maxBytes) break;
            if (Remove(entry.Path)) total -= entry.Bytes;
        }

        return total;
    }

    /// <summary>Returns the total bytes of the files in a folder.</summary>
    public static long SizeOf(string entry) => new DirectoryInfo(entry).EnumerateFiles().Sum(f => f.Length);

    /// <summary>Deletes an entry unless a process holds it.</summary>
    public bool Remove(ModelKey key) => Remove(Entry(key));

    private bool Remove(string entry)
    {
        try
        {
            using var hold = OpenLocked(entry, FileShare.None);
            // The folder is renamed first, so a reader finds all of it or none.
            var gone = TemporaryPath();
            Directory.Move(entry, gone);
            Delete(gone);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>
    /// Returns why the folder cannot be trusted, or null. Copies are loaded without inspection, so only the current
    /// user can have write access.
    /// </summary>
    private string? Distrust()
    {
        if (FileStat.Read(folder) is not { IsFolder: true } stat) return $"{folder} is not a folder";
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
            // The folder is read-only, so no process deletes entries from it.
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
            // Another process deletes the folder too, or the next maker deletes it.
        }
    }

    private static FileStream OpenLocked(string entry, FileShare share) =>
        new(Manifest(entry), FileMode.Open, FileAccess.Read, share);

    private static void Flush(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(file);
    }

    private static string Manifest(string entry) => System.IO.Path.Combine(entry, CacheManifest.Name);

    private string TemporaryPath() => System.IO.Path.Combine(folder, $"{Temporary}{Guid.NewGuid():N}");

    private string RefusalOf(ModelKey key) => System.IO.Path.Combine(folder, $"{key.Value}.refused");

    private string Entry(ModelKey key) => System.IO.Path.Combine(folder, key.Value);
}
