using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Removes finished requests from a key's count of concurrent requests, and retries until Redis confirms the removal.
/// A request that is not removed occupies one of the key's concurrent requests until its
/// <see cref="RateLimits.Flight"/> expires.
/// </summary>
public sealed class FlightReleases(RedisStore redis, TimeProvider time)
{
    /// <summary>
    /// The maximum number of releases that wait for Redis concurrently, about 300 bytes each. A release beyond this
    /// limit is not sent; the count expires after <see cref="RateLimits.Flight"/>.
    /// </summary>
    private const int MaxPending = 20_000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private int pending;

    /// <summary>Releases one request in the background.</summary>
    /// <param name="flight">The Redis key that holds the concurrent requests.</param>
    /// <param name="request">The ID of the request.</param>
    /// <param name="counted">
    /// The call that counts the request. Its outcome may be unknown: it may reach Redis after this call.
    /// </param>
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
            // Redis executes the commands of one connection in order. After a connection failure, the counting call may
            // still be in a buffer of Redis.
            if (!await SucceedsAsync(counted)) await Task.Delay(Pause, time);
            while (!await SucceedsAsync(redis.Database.SortedSetRemoveAsync(flight, request))
                && time.GetElapsedTime(since) < RateLimits.Flight)
                await Task.Delay(Pause, time);
        }
        finally
        {
            Interlocked.Decrement(ref pending);
        }
    }

    private static async Task<bool> SucceedsAsync(Task call)
    {
        try
        {
            await call;
            return true;
        }
        catch (Exception)
        {
            // Exceptions of every type are retried until the count expires.
            return false;
        }
    }
}
