using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Models.Downloads;

namespace Sluice.Models.Uploads;

/// <summary>
/// The uploaded models: <c>NAME/VERSION/files</c> with <c>model.json</c>. An upload is received in <c>.incoming</c>,
/// and gets its place in one step after it was checked, so each visible version is complete. A version never changes.
/// Each version has two locks: of the request that changes it, and of the workers that use it.
/// </summary>
public sealed partial class UploadStore(UploadSettings settings)
{
    private const string Incoming = ".incoming", Description = "model.json", FilesFolder = "files";

    /// <summary>The forms of names and versions, for error messages.</summary>
    public const string NameForm = "1 to 100 letters, digits, '.', '_' and '-', starting with a letter or digit";

    public UploadSettings Settings => settings;

    /// <summary>Whether a text can be a name or a version.</summary>
    public static bool IsName(string text) => Name().IsMatch(text);

    /// <summary>The folder of the files of a version; null: it does not exist.</summary>
    public string? Find(string name, string version) => IsName(name) && IsName(version)
        && File.Exists(Path.Combine(Folder(name, version), Description)) ? Files(name, version) : null;

    /// <summary>Returns all versions, sorted by name and version.</summary>
    public IReadOnlyList<UploadedVersion> List() => !Directory.Exists(settings.Folder) ? [] :
    [
        .. Directory.EnumerateDirectories(settings.Folder).Where(d => IsName(Path.GetFileName(d)))
            .SelectMany(Directory.EnumerateDirectories).Select(Read).OfType<UploadedVersion>()
            .OrderBy(v => v.Name, StringComparer.Ordinal).ThenBy(v => v.Version, StringComparer.Ordinal),
    ];

    /// <summary>Returns a version; null: it does not exist.</summary>
    public UploadedVersion? Get(string name, string version) => Read(Folder(name, version));

    /// <summary>Returns the number of bytes that were received of an upload that is not complete; null: there is none,
    /// or all of them were received.</summary>
    public long? Received(string name, string version) =>
        new FileInfo(Path.Combine(IncomingFolder(name, version), ModelUpload.Body)) is { Exists: true } body
            ? body.Length : null;

    /// <summary>Returns the bytes of an upload that is unpacked and inspected now; null: there is none.</summary>
    public long? Checking(string name, string version)
    {
        var folder = new DirectoryInfo(IncomingFolder(name, version));
        if (!folder.Exists) return null;
        try
        {
            return folder.EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
        }
        catch (IOException)
        {
            // Files were moved during the enumeration.
            return 0;
        }
    }

    /// <summary>
    /// Returns the uploads that were begun and are not versions yet. Requests may write some of them now.
    /// </summary>
    public IReadOnlyList<IncompleteUpload> ListIncomplete()
    {
        var incoming = Path.Combine(settings.Folder, Incoming);
        if (!Directory.Exists(incoming)) return [];
        return
        [
            .. Directory.EnumerateDirectories(incoming).Select(d => Path.GetFileName(d).Split('~'))
                .Where(n => n.Length == 2 && IsName(n[0]) && IsName(n[1]))
                .Select(n => FindIncomplete(n[0], n[1])).OfType<IncompleteUpload>(),
        ];
    }

    /// <summary>
    /// Deletes what was received of an upload, if it has expired and no request writes it. Returns it; null: it is
    /// kept.
    /// </summary>
    /// <param name="name">The name of the model.</param>
    /// <param name="version">The version.</param>
    /// <param name="now">The current time.</param>
    public IncompleteUpload? TryExpire(string name, string version, DateTimeOffset now)
    {
        using var owner = TryLock(name, version);
        // A request may have written it since the caller listed it.
        if (owner is null || FindIncomplete(name, version) is not { } upload
            || !upload.IsExpired(now, settings.KeepIncomplete)) return null;
        Directory.Delete(IncomingFolder(name, version), recursive: true);
        return upload;
    }

    /// <summary>Returns the exclusive right to change a version; null: another request has it.</summary>
    public IDisposable? TryLock(string name, string version) =>
        StoreLock.TryExclusive(LockPath($"{name}~{version}.lock"));

    /// <summary>
    /// Returns the right to read a version, together with other workers. While it is held, the version is not deleted.
    /// Null: a request deletes it.
    /// </summary>
    internal IDisposable? TryUse(string name, string version) => StoreLock.TryShared(UseLock(name, version));

    /// <summary>Deletes a version and what was received of it. The caller has its lock.</summary>
    /// <returns>False: a worker uses it.</returns>
    public bool TryDelete(string name, string version)
    {
        using var use = StoreLock.TryExclusive(UseLock(name, version));
        if (use is null) return false;
        if (Directory.Exists(Folder(name, version)))
        {
            // A reader sees all of it or nothing.
            var trash = Path.Combine(settings.Folder, Incoming, $"deleted-{Guid.NewGuid():N}");
            Directory.Move(Folder(name, version), trash);
            Directory.Delete(trash, recursive: true);
        }

        var incoming = IncomingFolder(name, version);
        if (Directory.Exists(incoming)) Directory.Delete(incoming, recursive: true);
        return true;
    }

    /// <summary>The folder in which an upload is received.</summary>
    internal string IncomingFolder(string name, string version) =>
        Path.Combine(settings.Folder, Incoming, $"{name}~{version}");

    /// <summary>Makes the files of an upload the version, in one step.</summary>
    internal UploadedVersion Publish(string name, string version, string files, DateTimeOffset now)
    {
        var entry = Path.Combine(IncomingFolder(name, version), "entry");
        if (Directory.Exists(entry)) Directory.Delete(entry, recursive: true);
        Directory.CreateDirectory(entry);
        var all = new DirectoryInfo(files).GetFiles("*", SearchOption.AllDirectories);
        var described = new UploadedVersion(name, version, all.Sum(f => f.Length), all.Length, now);
        Directory.Move(files, Path.Combine(entry, FilesFolder));
        using (var file = new FileStream(Path.Combine(entry, Description), FileMode.Create))
        {
            JsonSerializer.Serialize(file, described, UploadJson.Default.UploadedVersion);
            file.Flush(flushToDisk: true);
        }

        FolderAccess.Share(entry);
        FolderSync.Flush(entry);
        var parent = Path.Combine(settings.Folder, name);
        Directory.CreateDirectory(parent);
        Directory.Move(entry, Folder(name, version));
        FolderSync.Flush(parent);
        Directory.Delete(IncomingFolder(name, version), recursive: true);
        return described;
    }

    /// <summary>
    /// Returns an upload that is not complete; null: there is none. Its folder changes when its steps begin and end,
    /// and its body while it is received.
    /// </summary>
    private IncompleteUpload? FindIncomplete(string name, string version)
    {
        var folder = new DirectoryInfo(IncomingFolder(name, version));
        var body = new FileInfo(Path.Combine(folder.FullName, ModelUpload.Body));
        if (!folder.Exists) return null;
        var bytes = Checking(name, version) ?? 0;
        var at = body.Exists && body.LastWriteTimeUtc > folder.LastWriteTimeUtc
            ? body.LastWriteTimeUtc : folder.LastWriteTimeUtc;
        return new IncompleteUpload(name, version, bytes, new DateTimeOffset(at));
    }

    private string UseLock(string name, string version) => LockPath($"{name}~{version}.use");

    private string LockPath(string name)
    {
        var locks = Path.Combine(settings.Folder, Incoming);
        Directory.CreateDirectory(locks);
        return Path.Combine(locks, name);
    }

    private string Folder(string name, string version) => Path.Combine(settings.Folder, name, version);

    private string Files(string name, string version) => Path.Combine(Folder(name, version), FilesFolder);

    private static UploadedVersion? Read(string folder)
    {
        try
        {
            return JsonSerializer.Deserialize(
                File.ReadAllText(Path.Combine(folder, Description)), UploadJson.Default.UploadedVersion);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\\z")]
    private static partial Regex Name();
}
