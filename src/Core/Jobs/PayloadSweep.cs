using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Deletes payload files that no job refers to: a gateway that was killed leaves them between the write of the file and the write of its reference.
/// A file is deleted when two sweeps, <see cref="OrphanAge"/> apart, found it without a reference. Only files of this Redis are looked at, by their names.
/// For one caller at a time.
/// </summary>
/// <param name="redis">Has the references.</param>
/// <param name="share">Has the files.</param>
/// <param name="time">The clock of the age. The times of the files are not used: a file server may have another clock.</param>
public sealed class PayloadSweep(RedisStore redis, PayloadShare share, TimeProvider time)
{
    /// <summary>
    /// Longer than any file waits for its reference. A submission has 2.5 s, and an output is stored within seconds of its file, or when Redis returns from
    /// an outage: the sweep needs Redis too, and its second look is this much later.
    /// </summary>
    public static readonly TimeSpan OrphanAge = TimeSpan.FromHours(1);

    /// <summary>Files of builds before this one, whose names do not say of which Redis they are: longer than any job waits, runs and is kept.</summary>
    private static readonly TimeSpan OldestUnnamed = TimeSpan.FromDays(60);

    /// <summary>Jobs looked at by one script: Redis does nothing else for a fraction of a millisecond.</summary>
    private const int JobsAtOnce = 200;

    private static readonly Script ReferencesLua = Script.Load("payload-references");

    private readonly Dictionary<string, long> suspects = [];

    /// <summary>One sweep; returns how many files it deleted. Throws when the share or a part of Redis is not available: then nothing was deleted.</summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        await share.RequireAsync();
        var owner = await share.OwnerAsync();
        var now = time.GetTimestamp();
        // The files first: a file that comes later is not among them.
        var files = Directory.EnumerateFiles(share.Folder, "*", SearchOption.AllDirectories).Where(f => Path.GetFileName(f) != PayloadShare.Marker).ToList();
        var own = files.Where(f => IsOf(owner, f)).ToHashSet();
        foreach (var gone in suspects.Keys.Where(f => !own.Contains(f)).ToList()) suspects.Remove(gone);
        var referenced = own.Count == 0 ? [] : await ReferencesAsync(ct);
        // Again: files of an empty folder in place of the share would all be missing, and so would be the suspects.
        await share.RequireAsync();
        var deleted = 0;
        foreach (var file in own)
        {
            if (referenced.Contains(Path.GetFileName(file))) suspects.Remove(file);
            else if (!suspects.TryGetValue(file, out var since)) suspects[file] = now;
            else if (time.GetElapsedTime(since, now) >= OrphanAge && Delete(file)) deleted++;
        }

        foreach (var file in files.Where(f => !own.Contains(f) && time.GetUtcNow() - File.GetLastWriteTimeUtc(f) > OldestUnnamed))
            if (Delete(file)) deleted++;
        return deleted;
    }

    private static bool IsOf(string owner, string file)
    {
        var name = Path.GetFileName(file);
        if (name.EndsWith(PayloadStore.PartSuffix, StringComparison.Ordinal)) name = name[..^PayloadStore.PartSuffix.Length];
        return name.Length == PayloadStore.NameDigits && name.EndsWith(owner, StringComparison.Ordinal);
    }

    private bool Delete(string file)
    {
        File.Delete(file);
        return suspects.Remove(file) || true;
    }

    /// <summary>The names of all files that any job refers to, of endpoints that are not declared any more too.</summary>
    private async Task<HashSet<string>> ReferencesAsync(CancellationToken ct)
    {
        var names = new HashSet<string>();
        foreach (var key in await Task.Run(JobHashes, ct))
            for (RedisValue cursor = "0"; ;)
            {
                var page = (RedisResult[])await ReferencesLua.RunAsync(redis.Database, [key], [cursor, JobsAtOnce]).WaitAsync(ct);
                foreach (var reference in (string[])page[1]) names.Add(reference[1..]);
                cursor = (RedisValue)page[0];
                if (cursor == "0") break;
            }

        return names;
    }

    /// <summary>The hashes that have references, of all endpoints.</summary>
    private List<RedisKey> JobHashes()
    {
        var keys = new List<RedisKey>();
        foreach (var address in redis.Connection.GetEndPoints())
        {
            var server = redis.Connection.GetServer(address);
            if (!server.IsConnected) throw new TimeoutException($"Redis {address} is not connected: its jobs may refer to files");
            if (server.IsSlave) continue;
            foreach (var kind in new[] { "asked", "results" }) keys.AddRange(server.Keys(pattern: (string)DispatchKeysPattern(kind)!, pageSize: 1000));
        }

        return keys;
    }

    private static RedisKey DispatchKeysPattern(string kind) => Dispatch.DispatchKeys.Key("*", kind);
}
