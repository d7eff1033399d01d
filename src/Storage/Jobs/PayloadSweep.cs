using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Deletes payload files that no job refers to. A gateway that is killed between the write of a file and the write of
/// its reference leaves such a file.
/// </summary>
/// <remarks>
/// A file is deleted when two sweeps, <see cref="OrphanAge"/> apart, found no reference to it. Only files with the id
/// of this Redis in their names are considered. At most one caller at a time.
/// </remarks>
/// <param name="redis">The Redis with the references.</param>
/// <param name="share">The folder with the files.</param>
/// <param name="time">The clock of the age. File times are not used, because the clock of a file server may
/// differ.</param>
public sealed class PayloadSweep(RedisStore redis, PayloadShare share, TimeProvider time)
{
    /// <summary>
    /// The time between the two sweeps: longer than any file waits for its reference. A submission takes at most 2.5 s,
    /// and an output is stored within seconds after its file, or when Redis is available again after an outage. The
    /// sweep needs Redis too, and its second check is this much later.
    /// </summary>
    public static readonly TimeSpan OrphanAge = TimeSpan.FromHours(1);

    /// <summary>
    /// The age at which files of earlier builds, whose names do not identify their Redis, are deleted: longer than any
    /// job is queued, runs and is kept.
    /// </summary>
    private static readonly TimeSpan OldestUnnamed = TimeSpan.FromDays(60);

    /// <summary>
    /// The number of jobs in one script. Redis runs no other command for a fraction of a millisecond.
    /// </summary>
    private const int JobsAtOnce = 200;

    /// <summary>
    /// The keys with references to blobs of <c>Sluice.Storage.Files</c> and <c>Sluice.Storage.Batches</c>, which use
    /// this namespace.
    /// </summary>
    internal const string FilesKey = "sluice:{files}:records";
    internal const string BatchPartsPrefix = "sluice:{batches}:parts:";
    private const string BatchPartsPattern = BatchPartsPrefix + "*";

    private static readonly Script ReferencesLua = Script.Load("payload-references");

    private readonly Dictionary<string, long> suspects = [];

    /// <summary>
    /// Runs one sweep and returns how many files it deleted. Throws if the share or a part of Redis is not available;
    /// nothing is deleted then.
    /// </summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        await share.RequireAsync();
        var owner = await share.OwnerAsync();
        var now = time.GetTimestamp();
        // List the files before the references: a file that is created later is not in the list.
        var files = Directory.EnumerateFiles(share.Folder, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetFileName(f) != PayloadShare.Marker)
            .ToList();
        var own = files.Where(f => IsOf(owner, f)).ToHashSet();
        foreach (var gone in suspects.Keys.Where(f => !own.Contains(f)).ToList()) suspects.Remove(gone);
        var referenced = own.Count == 0 ? [] : await ReferencesAsync(ct);
        // Check again: in an empty folder that replaced the share, all files and all suspects would be missing.
        await share.RequireAsync();
        var deleted = 0;
        foreach (var file in own)
        {
            if (referenced.Contains(Path.GetFileName(file))) suspects.Remove(file);
            else if (!suspects.TryGetValue(file, out var since)) suspects[file] = now;
            else if (time.GetElapsedTime(since, now) >= OrphanAge && Delete(file)) deleted++;
        }

        var unnamed = files.Where(f =>
            !own.Contains(f) && time.GetUtcNow() - File.GetLastWriteTimeUtc(f) > OldestUnnamed);
        foreach (var file in unnamed)
            if (Delete(file)) deleted++;
        return deleted;
    }

    private static bool IsOf(string owner, string file)
    {
        var name = Path.GetFileName(file);
        if (name.EndsWith(PayloadStore.PartSuffix, StringComparison.Ordinal))
            name = name[..^PayloadStore.PartSuffix.Length];
        return name.Length == PayloadStore.NameDigits && name.EndsWith(owner, StringComparison.Ordinal);
    }

    private bool Delete(string file)
    {
        File.Delete(file);
        return suspects.Remove(file) || true;
    }

    /// <summary>
    /// Returns the names of all files that a job refers to, including jobs of endpoints that are no longer declared.
    /// </summary>
    private async Task<HashSet<string>> ReferencesAsync(CancellationToken ct)
    {
        var names = new HashSet<string>();
        foreach (var key in await Task.Run(JobHashes, ct))
            for (RedisValue cursor = "0"; ;)
            {
                var reply = await ReferencesLua.RunAsync(redis.Database, [key], [cursor, JobsAtOnce])
                    .WaitAsync(ct);
                var page = reply.Items();
                foreach (var reference in page[1].Texts()) names.Add(reference[1..]);
                cursor = (RedisValue)page[0];
                if (cursor == "0") break;
            }

        return names;
    }

    /// <summary>Returns the hashes with references: of jobs of all endpoints, of files and of batches.</summary>
    private List<RedisKey> JobHashes()
    {
        var keys = new List<RedisKey> { FilesKey };
        var primaries = redis.Connection.GetServers().Where(s => s is { IsConnected: true, IsReplica: false }).ToList();
        if (primaries.Count == 0)
            throw new TimeoutException("No primary of Redis is connected; its jobs may refer to payload files");
        foreach (var server in primaries)
        {
            foreach (var kind in new[] { "jobs", "results" })
                keys.AddRange(server.Keys(pattern: (string)DispatchKeysPattern(kind)!, pageSize: 1000));
            keys.AddRange(server.Keys(pattern: BatchPartsPattern, pageSize: 1000));
        }

        return keys;
    }

    private static RedisKey DispatchKeysPattern(string kind) => DispatchKeys.Key("*", kind);
}
