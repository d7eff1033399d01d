using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>
/// Takes requests out of the count of those that a key has at once, until Redis has answered: one that stays counted takes a place of the key until its
/// <see cref="RateLimits.Flight"/> ends.
/// </summary>
public sealed class FlightReleases(RedisStore redis, TimeProvider time)
{
    /// <summary>Releases that wait for Redis at once, about 300 bytes each; of those beyond them the count ends by itself.</summary>
    private const int MaxPending = 20_000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private int pending;

    /// <summary>Releases one request, in the background.</summary>
    /// <param name="flight">The key's count.</param>
    /// <param name="request">Its id.</param>
    /// <param name="counted">The call that counts it. Its outcome may be unknown: it may reach Redis later than this call is made.</param>
    public void Release(RedisKey flight, string request, Task counted)
    {
        if (Interlocked.Increment(ref pending) > MaxPending) Interlocked.Decrement(ref pending);
        else _ = ReleaseAsync(flight, request, counted);
    }

    private async Task ReleaseAsync(RedisKey flight, string request, Task counted)
    {
        try
        {
            var since = time.GetTimestamp();
            // Commands of one connection keep their order. After a broken one, the call may still be in a buffer of Redis.
            if (!await DidAsync(counted)) await Task.Delay(Pause, time);
            while (!await DidAsync(redis.Database.SortedSetRemoveAsync(flight, request)) && time.GetElapsedTime(since) < RateLimits.Flight)
                await Task.Delay(Pause, time);
        }
        finally
        {
            Interlocked.Decrement(ref pending);
        }
    }

    private static async Task<bool> DidAsync(Task call)
    {
        try
        {
            await call;
            return true;
        }
        catch (Exception)
        {
            // Of any kind: it is repeated until the count ends by itself.
            return false;
        }
    }
}
