using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Responses;

/// <summary>
/// Stores responses of the OpenAI API for a stated time, so that a later request can continue their conversation. The
/// responses of an owner have a limit of bytes; the oldest are deleted first. When Redis is unavailable, methods throw
/// the exceptions that <see cref="RedisErrors"/> identifies.
/// </summary>
/// <param name="redis">The shared connection to Redis.</param>
public sealed class ResponseStore(RedisStore redis)
{
    private static readonly Script PutLua = Script.Load("response-put");
    private static readonly Script DeleteLua = Script.Load("response-delete");

    /// <summary>Stores a response, in place of one with the same id.</summary>
    /// <param name="id">The id.</param>
    /// <param name="owner">The id of the API key.</param>
    /// <param name="json">The response.</param>
    /// <param name="keep">How long it is stored.</param>
    /// <param name="limits">The limits of sizes.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>False if it is larger than the limit, and is not stored.</returns>
    public async Task<bool> PutAsync(
        string id,
        string owner,
        byte[] json,
        TimeSpan keep,
        ResponseLimits limits,
        CancellationToken ct)
    {
        if (json.Length > Math.Min(limits.Bytes, limits.OwnerBytes)) return false;
        redis.RequireDisk();
        await PutLua.RunAsync(redis.Database, [Stored(owner), Sizes(owner), Responses(owner)],
            [id, json, (long)keep.TotalMilliseconds, limits.OwnerBytes]).WaitAsync(ct);
        return true;
    }

    /// <summary>Returns a response of an owner; null: there is none, or its time has passed.</summary>
    public async Task<byte[]?> FindAsync(string id, string owner, CancellationToken ct) =>
        (byte[]?)await redis.Database.StringGetAsync(Responses(owner).Append(id)).WaitAsync(ct);

    /// <summary>Deletes a response. Returns false if the owner has none with this id.</summary>
    public async Task<bool> DeleteAsync(string id, string owner, CancellationToken ct) =>
        (int)await DeleteLua.RunAsync(redis.Database, [Stored(owner), Sizes(owner), Responses(owner)], [id])
            .WaitAsync(ct) == 1;

    private static RedisKey Responses(string owner) => $"sluice:{{responses:{owner}}}:response:";

    private static RedisKey Stored(string owner) => $"sluice:{{responses:{owner}}}:stored";

    private static RedisKey Sizes(string owner) => $"sluice:{{responses:{owner}}}:sizes";
}
