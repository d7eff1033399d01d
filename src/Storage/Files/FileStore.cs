using System.Globalization;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Files;

/// <summary>
/// Stores the records of files in Redis. Their bytes are in the payload folder (<see cref="BlobStore"/>). When Redis is
/// unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies.
/// </summary>
public sealed class FileStore(RedisStore redis, BlobStore blobs)
{
    /// <summary>Hash: file -> its record.</summary>
    internal static readonly RedisKey Records = PayloadSweep.FilesKey;

    private static readonly RedisKey Of = "sluice:{files}:of:";
    private static readonly RedisKey Bytes = "sluice:{files}:bytes";
    private static readonly RedisKey Expiry = "sluice:{files}:expiry";

    /// <summary>The number of expired files that one call deletes.</summary>
    private const int AtOnce = 100;

    private static readonly Script PutLua = Script.Load("file-put");
    private static readonly Script DeleteLua = Script.Load("file-delete");

    /// <summary>Stores the record of a file whose bytes are stored.</summary>
    /// <param name="id">The id. A second call with the same id changes nothing.</param>
    /// <param name="owner">The id of the API key.</param>
    /// <param name="purpose">The purpose.</param>
    /// <param name="name">The name.</param>
    /// <param name="blob">The bytes.</param>
    /// <param name="keep">How long the file is kept; zero: without an end.</param>
    /// <param name="limits">The limits of the owner.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<FilePut> PutAsync(
        string id,
        string owner,
        string purpose,
        string name,
        Blob blob,
        TimeSpan keep,
        FileLimits limits,
        CancellationToken ct)
    {
        redis.RequireDisk();
        var line = name.Replace('\n', ' ').Replace('\r', ' ');
        var reply = await PutLua.RunAsync(
            redis.Database,
            [Records, Of.Append(owner), Bytes, Expiry],
            [
                id, owner, blob.Length, purpose, line, blob.Reference, (long)keep.TotalMilliseconds, limits.Files,
                limits.Bytes,
            ]).WaitAsync(ct);
        var r = reply.Texts();
        return r[0] is "ok" or "same"
            ? new FilePut(StoredFile.Read(id, r[1]), r[0] == "ok")
            : new FilePut(null, IsNew: false, r[0], long.Parse(r[1], CultureInfo.InvariantCulture));
    }

    /// <summary>Returns a file of an owner; null: the owner has none with this id.</summary>
    public async Task<StoredFile?> FindAsync(string id, string owner, CancellationToken ct)
    {
        var record = (string?)await redis.Database.HashGetAsync(Records, id).WaitAsync(ct);
        return record is not null && StoredFile.Read(id, record) is var file && file.Owner == owner ? file : null;
    }

    /// <summary>Returns all files of an owner, the newest first.</summary>
    public async Task<IReadOnlyList<StoredFile>> ListAsync(string owner, CancellationToken ct)
    {
        var ids = await redis.Database.SortedSetRangeByRankAsync(Of.Append(owner), order: Order.Descending)
            .WaitAsync(ct);
        if (ids.Length == 0) return [];
        var records = await redis.Database.HashGetAsync(Records, ids).WaitAsync(ct);
        return
        [
            .. ids.Zip(records).Where(r => r.Second.HasValue)
                .Select(r => StoredFile.Read(r.First.ToString(), r.Second.ToString())),
        ];
    }

    /// <summary>Deletes a file and its bytes. Returns false if the owner has no such file.</summary>
    public async Task<bool> DeleteAsync(string id, string owner, CancellationToken ct) =>
        await DeleteAsync(id, owner, 1, ct) == 1;

    /// <summary>Deletes the files that have expired, and returns their number.</summary>
    public async Task<int> DeleteExpiredAsync(CancellationToken ct)
    {
        for (var all = 0; ;)
        {
            var deleted = await DeleteAsync("", "", AtOnce, ct);
            all += deleted;
            if (deleted < AtOnce) return all;
        }
    }

    private async Task<int> DeleteAsync(string id, string owner, int max, CancellationToken ct)
    {
        var reply = await DeleteLua.RunAsync(redis.Database, [Records, Of, Bytes, Expiry], [id, owner, max])
            .WaitAsync(ct);
        var references = reply.Texts();
        foreach (var reference in references) blobs.Delete(reference);
        return references.Length;
    }
}
