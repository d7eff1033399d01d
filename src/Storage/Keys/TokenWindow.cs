using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Keys;

/// <summary>
/// Counts the tokens of keys in a sliding window, in Redis, over all gateways. Tokens are reserved before a request is
/// sent, and settled when the count of the engine is known. They count from their reservation on, for one window: in no
/// window more than the limit is reserved, except tokens that a request used in addition to its reservation. These are
/// debt, which takes the place of later tokens.
/// </summary>
/// <param name="redis">The shared connection to Redis.</param>
/// <param name="length">The length of the window; null: a minute. Tests use a shorter one.</param>
public sealed class TokenWindow(RedisStore redis, TimeSpan? length = null)
{
    private static readonly Script ReserveLua = Script.Load("token-reserve");
    private static readonly Script SettleLua = Script.Load("token-settle");

    private static readonly Script ReadLua = Script.Load("token-read");

    private readonly long windowMs = (long)(length ?? TimeSpan.FromMinutes(1)).TotalMilliseconds;

    /// <summary>Reserves tokens. A repeated call with the same request reserves once.</summary>
    /// <param name="key">The id of the API key.</param>
    /// <param name="request">The id of the request, unique for the key.</param>
    /// <param name="tokens">The tokens to reserve, at least 0.</param>
    /// <param name="limit">The tokens of a window.</param>
    /// <param name="most">The tokens that may count after the reservation: <paramref name="limit"/>, or less.</param>
    /// <param name="isForced">Whether tokens above <paramref name="most"/> are reserved as debt, not refused.</param>
    /// <param name="life">How long the reservation can be settled.</param>
    public async Task<TokenAnswer> ReserveAsync(
        string key, string request, long tokens, long limit, long most, bool isForced, TimeSpan life)
    {
        var r = (await ReserveLua.RunAsync(redis.Database, Keys(key),
            [request, tokens, limit, most, isForced ? 1 : 0, windowMs, (long)life.TotalMilliseconds])).Items();
        return new TokenAnswer((int)r[0] == 1, (long)r[1], TimeSpan.FromMilliseconds((long)r[2]),
            TimeSpan.FromMilliseconds((long)r[3]));
    }

    /// <summary>Replaces a reservation by the tokens that were used. A repeated call has no effect.</summary>
    /// <param name="key">The id of the API key.</param>
    /// <param name="request">The id of the request.</param>
    /// <param name="tokens">The tokens that were used.</param>
    /// <param name="limit">The tokens of a window.</param>
    /// <returns>Whether there was a reservation, and the tokens that count now.</returns>
    public async Task<(bool IsSettled, long Total)> SettleAsync(string key, string request, long tokens, long limit)
    {
        var r = (await SettleLua.RunAsync(redis.Database, Keys(key), [request, tokens, limit, windowMs])).Items();
        return ((int)r[0] == 1, (long)r[1]);
    }

    /// <summary>Reads the tokens that can be reserved now, and the time until all of them can.</summary>
    /// <param name="key">The id of the API key.</param>
    /// <param name="limit">The tokens of a window.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<(long Left, TimeSpan Whole)> ReadAsync(string key, long limit, CancellationToken ct)
    {
        var r = (await ReadLua.RunAsync(redis.Database, [Keys(key)[0]], [limit, windowMs]).WaitAsync(ct)).Items();
        return ((long)r[0], TimeSpan.FromMilliseconds((long)r[1]));
    }

    private static RedisKey[] Keys(string key) =>
        [$"sluice:{{key:{key}}}:tokens", $"sluice:{{key:{key}}}:reserved:"];
}
