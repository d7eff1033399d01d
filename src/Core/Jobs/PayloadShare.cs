using System.Security.Cryptography;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Whether the payload folder of this gateway is the one that all gateways on its Redis share. A marker file in the folder has an id, which Redis has too.
/// The marker is looked at when the gateway starts, each second (<see cref="PayloadWatch"/>), before each file is written and after, and after each file
/// that was not found: a share may be unmounted at any time, and an empty local folder is then in its place.
/// </summary>
public sealed class PayloadShare(RedisStore redis, string folder, TimeProvider? time = null)
{
    internal const string Marker = "folder-id";

    /// <summary>A file system that does not answer for this long is not available. A network file system that is mounted "hard" waits for ever.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private static readonly RedisKey FolderId = "sluice:payloads";

    /// <summary>An id of this Redis, in the name of each of its files: only those may be swept. Another Redis may use the same folder.</summary>
    private static readonly RedisKey OwnerId = "sluice:payloads-owner";

    private const int OwnerDigits = 8;

    private readonly TimeProvider time = time ?? TimeProvider.System;
    private volatile string? folderId;
    private volatile string? owner;
    private volatile string? why;
    private volatile Task<string?>? look;

    public string Folder => folder;

    /// <summary>What the last look found.</summary>
    public bool IsAvailable => why is null;

    /// <summary>For the log, with the path; null: the share is available.</summary>
    public string? WhyUnavailable => why;

    /// <summary>Makes the folder where no gateway has one yet, and finds out whether it is the shared one. Throws
    /// <see cref="InvalidOperationException"/> when it is not: results would be found by some gateways only.</summary>
    public async Task CheckAsync()
    {
        var db = redis.Database;
        var known = (string?)await db.StringGetAsync(FolderId);
        var file = Path.Combine(folder, Marker);
        if (known is null) Directory.CreateDirectory(folder);
        var own = File.Exists(file) ? (await File.ReadAllTextAsync(file)).Trim() : RandomNumberGenerator.GetHexString(16, lowercase: true);
        if (known is null) known = await db.StringSetAsync(FolderId, own, when: When.NotExists) ? own : (string?)await db.StringGetAsync(FolderId);
        if (known != own)
            throw new InvalidOperationException($"SLUICE_PAYLOADS is '{folder}', but other gateways on this Redis keep large inputs "
                + "and outputs of jobs in another folder: point all of them at one shared folder, and mount it before the start (or, when that folder is "
                + $"gone for good, delete the Redis key {FolderId})");
        // Not again: others look at the marker while it is written.
        if (!File.Exists(file))
        {
            await File.WriteAllTextAsync(file, own + "\n");
            PrivateFiles.CopySharedAccess(folder, new FileInfo(file));
        }

        await db.StringSetAsync(OwnerId, RandomNumberGenerator.GetHexString(OwnerDigits, lowercase: true), when: When.NotExists);
        owner = await db.StringGetAsync(OwnerId);
        folderId = own;
    }

    /// <summary>The end of the name of each file that this Redis has a reference to; the first call of a gateway that was not checked checks it.</summary>
    internal async Task<string> OwnerAsync()
    {
        if (owner is null) await CheckAsync();
        return owner!;
    }

    /// <summary>Looks at the marker now. Throws <see cref="PayloadException"/> when the share is not available.</summary>
    internal async Task RequireAsync()
    {
        if (folderId is null) await CheckAsync();
        if (!await LookAsync()) throw new PayloadException(PayloadFault.Unavailable, new IOException(why));
    }

    /// <summary>Looks at the marker; whether the share is available. While a file system hangs, later calls wait for the look that hangs: each look
    /// blocks a thread.</summary>
    internal async Task<bool> LookAsync()
    {
        if (folderId is null) return true;
        var pending = look is { IsCompleted: false } same && why is not null ? same : look = Task.Run(Look);
        try
        {
            why = await pending.WaitAsync(Patience, time);
        }
        catch (TimeoutException)
        {
            why = $"'{folder}' gave no answer for {Patience.TotalSeconds:0} s";
        }

        return why is null;
    }

    private string? Look()
    {
        try
        {
            var found = File.ReadAllText(Path.Combine(folder, Marker)).Trim();
            return found == folderId ? null : $"'{folder}' has the marker '{found}'; expected '{folderId}', the folder that the other gateways use";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return $"'{folder}' or its file {Marker} is missing; expected the shared folder, which may not be mounted";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"'{folder}' cannot be read: {e.Message}";
        }
    }
}
