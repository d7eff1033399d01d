using System.Security.Cryptography;
using Sluice.Shared;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Checks whether the payload folder of this gateway is the folder that all gateways on its Redis share.
/// </summary>
/// <remarks>
/// A marker file in the folder contains an id, which Redis stores too. The marker is checked when the gateway starts,
/// every second (<c>PayloadWatch</c>), before and after each file is written, and after each file that was not
/// found: a share may be unmounted at any time, and an empty local folder is then in its place.
/// </remarks>
public sealed class PayloadShare(RedisStore redis, string folder, TimeProvider? time = null)
{
    internal const string Marker = "folder-id";

    /// <summary>
    /// A file system that does not respond within this time is not available. A network file system that is mounted
    /// "hard" waits indefinitely.
    /// </summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private static readonly RedisKey FolderId = "sluice:payloads";

    /// <summary>
    /// The id of this Redis, which is part of the name of each of its files: only those may be swept. Another Redis may
    /// use the same folder.
    /// </summary>
    private static readonly RedisKey OwnerId = "sluice:payloads-owner";

    private const int OwnerDigits = 8;

    private readonly TimeProvider time = time ?? TimeProvider.System;
    private volatile string? folderId;
    private volatile string? owner;
    private volatile string? why;
    private volatile Task<string?>? check;

    public string Folder => folder;

    /// <summary>Whether the last check succeeded.</summary>
    public bool IsAvailable => why is null;

    /// <summary>The reason for the log, with the path; null: the share is available.</summary>
    public string? WhyUnavailable => why;

    /// <summary>Creates the folder if no gateway has one yet, and checks that it is the shared folder.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is a different folder: only some gateways would find the results.
    /// </exception>
    public async Task CheckAsync()
    {
        var db = redis.Database;
        var known = (string?)await db.StringGetAsync(FolderId);
        var file = Path.Combine(folder, Marker);
        if (known is null) Directory.CreateDirectory(folder);
        var own = File.Exists(file) ? (await File.ReadAllTextAsync(file)).Trim() : "";
        // An empty marker, for example of a write to a full disk, identifies no folder.
        var isNew = own.Length == 0;
        if (isNew) own = RandomNumberGenerator.GetHexString(16, lowercase: true);
        if (known is null)
            known = await db.StringSetAsync(FolderId, own, when: When.NotExists)
                ? own
                : (string?)await db.StringGetAsync(FolderId);
        if (known != own)
            throw new InvalidOperationException(
                $"SLUICE_PAYLOADS is '{folder}'; expected the folder that the other gateways on this Redis use for "
                + "large inputs and outputs of jobs. Set SLUICE_PAYLOADS of all gateways to one shared folder, and "
                + "mount it before the start. "
                + $"If that folder is permanently lost, delete the Redis key {FolderId}");
        // Do not rewrite an existing marker: other gateways may read it during the write.
        if (isNew)
        {
            await File.WriteAllTextAsync(file, own + "\n");
            PrivateFiles.CopySharedAccess(folder, new FileInfo(file));
        }

        var newOwner = RandomNumberGenerator.GetHexString(OwnerDigits, lowercase: true);
        await db.StringSetAsync(OwnerId, newOwner, when: When.NotExists);
        owner = await db.StringGetAsync(OwnerId);
        folderId = own;
    }

    /// <summary>
    /// Returns the suffix of the names of all files that this Redis refers to. The first call runs
    /// <see cref="CheckAsync"/> if it has not run yet.
    /// </summary>
    internal async Task<string> OwnerAsync()
    {
        if (owner is null) await CheckAsync();
        return owner!;
    }

    /// <summary>Checks the marker. Throws <see cref="PayloadException"/> if the share is not available.</summary>
    internal async Task RequireAsync()
    {
        if (folderId is null) await CheckAsync();
        if (!await CheckMarkerAsync()) throw new PayloadException(PayloadFault.Unavailable, new IOException(why));
    }

    /// <summary>
    /// Checks the marker and returns whether the share is available. While a file system hangs, later calls wait for
    /// the pending check, because each check blocks a thread.
    /// </summary>
    public async Task<bool> CheckMarkerAsync()
    {
        if (folderId is null) return true;
        var pending = check is { IsCompleted: false } same && why is not null ? same : check = Task.Run(ReadMarker);
        try
        {
            why = await pending.WaitAsync(Patience, time);
        }
        catch (TimeoutException)
        {
            why = $"'{folder}' did not respond within {Patience.TotalSeconds:0} s";
        }

        return why is null;
    }

    private string? ReadMarker()
    {
        try
        {
            var found = File.ReadAllText(Path.Combine(folder, Marker)).Trim();
            return found == folderId
                ? null
                : $"marker of '{folder}' is '{found}'; expected '{folderId}', the folder that the other gateways use";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return $"'{folder}' or its file {Marker} is missing; expected the shared folder. Check that it is mounted";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"reading '{folder}' failed: {e.Message}";
        }
    }
}
