using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;
using Sluice.Storage.Background;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Enforces the limits of keys that have limits: requests per minute and concurrent requests, counted in Redis over all
/// gateways. Responses have the headers <c>RateLimit</c> and <c>RateLimit-Policy</c>
/// (draft-ietf-httpapi-ratelimit-headers-10). While Redis is unavailable, requests are not limited: authorization is
/// already decided, and limits must not prolong an outage.
/// </summary>
public sealed class RateLimits(RedisStore redis, GatewayMetrics metrics, TimeProvider time, ILogger<RateLimits> logger)
{
    /// <summary>
    /// How long a request counts as running after its gateway last renewed it. A killed gateway does not renew its
    /// requests.
    /// </summary>
    internal static readonly TimeSpan Flight = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RenewInterval = Flight / 3;

    private static readonly TimeSpan CountTimeout = TimeSpan.FromSeconds(1);

    private static readonly Script LimitLua = Script.Load("limit");
    private static readonly Script ReadLua = Script.Load("limit-read");
    private static readonly Script KeepLua = Script.Load("limit-keep");

    private readonly FlightReleases releases = new(redis, time);
    private readonly FailureLog failures = new(time, logger);

    public async Task InvokeAsync(HttpContext context, Caller caller, RequestDelegate next)
    {
        var limits = caller.Limits;
        var request = limits.Concurrent > 0 ? Guid.NewGuid().ToString("N") : "";
        var (rate, flight) = (RateKey(caller.KeyId), FlightKey(caller.KeyId));
        var counting = CountAsync(rate, flight, limits, request);
        // The count is released on every exit path, even if its outcome is not known yet, because the call may still
        // reach Redis.
        var counted = request.Length > 0;
        try
        {
            if (await WaitForCountAsync(counting, caller.KeyId, context.RequestAborted) is { } r)
            {
                if (limits.RequestsPerMinute > 0)
                    RateLimitHeaders.For(context).SetRequests(
                        limits.RequestsPerMinute, (long)r[2], TimeSpan.FromMilliseconds((long)r[3]));
                if ((int)r[0] == 0)
                {
                    counted = false;
                    await RejectAsync(context, caller, r[1].Text(), TimeSpan.FromMilliseconds((long)r[4]));
                    return;
                }
            }

            if (!counted)
            {
                await next(context);
                return;
            }

            await using var timer = time.CreateTimer(_ => Renew(flight, request), null, RenewInterval, RenewInterval);
            await next(context);
        }
        finally
        {
            if (counted) releases.Release(flight, request, counting);
        }
    }

    /// <summary>Reads what the limits of a key allow now, without using them.</summary>
    /// <param name="keyId">The id of the key.</param>
    /// <param name="limits">Its limits.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <returns>
    /// The requests that are possible now, the time until the rate is whole again, and the running requests (counted
    /// only for a key with a limit of them).
    /// </returns>
    public async Task<(long Requests, TimeSpan Whole, long Running)> ReadAsync(
        string keyId, KeyLimits limits, CancellationToken ct)
    {
        var r = (await ReadLua.RunAsync(redis.Database, [RateKey(keyId), FlightKey(keyId)],
            [IntervalOf(limits), BurstOf(limits)]).WaitAsync(ct)).Items();
        return ((long)r[0], TimeSpan.FromMilliseconds((long)r[1]), (long)r[2]);
    }

    private async Task<RedisResult[]> CountAsync(RedisKey rate, RedisKey flight, KeyLimits limits, string request) =>
        (await LimitLua.RunAsync(redis.Database, [rate, flight],
        [
            IntervalOf(limits),
            BurstOf(limits),
            limits.Concurrent,
            request,
            (long)Flight.TotalMilliseconds,
        ])).Items();

    /// <summary>Returns the script's reply, or null if Redis did not count the request.</summary>
    private async Task<RedisResult[]?> WaitForCountAsync(
        Task<RedisResult[]> counting,
        string keyId,
        CancellationToken aborted)
    {
        try
        {
            return await counting.WaitAsync(CountTimeout, time, aborted);
        }
        catch (Exception e) when (!aborted.IsCancellationRequested && RedisFaults.Classify(e) != RedisFault.None)
        {
            failures.Report($"Counting the requests of key {keyId}", e);
            return null;
        }
    }

    private Task RejectAsync(HttpContext context, Caller caller, string limit, TimeSpan retryAfter)
    {
        metrics.Limited(limit);
        return Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, limit == "rate"
            ? $"Key {caller.KeyId} exceeded its rate of {caller.Limits.RequestsPerMinute} requests per minute "
                + $"with bursts of {BurstOf(caller.Limits)}."
            : $"Key {caller.KeyId} has {caller.Limits.Concurrent} concurrent requests, which is its limit.",
            retryAfter);
    }

    /// <summary>
    /// Renews the count of a running request. One lost call is harmless: two more follow before it expires.
    /// </summary>
    private void Renew(RedisKey flight, string request) =>
        _ = KeepLua.RunAsync(redis.Database, [flight], [request, (long)Flight.TotalMilliseconds])
            .ContinueWith(t => _ = t.Exception, TaskScheduler.Default);

    private static RedisKey RateKey(string keyId) => $"sluice:{{key:{keyId}}}:rate";

    private static RedisKey FlightKey(string keyId) => $"sluice:{{key:{keyId}}}:flight";

    /// <summary>Returns the microseconds between two requests at the steady rate; 0: no limit.</summary>
    private static int IntervalOf(KeyLimits limits) =>
        limits.RequestsPerMinute > 0 ? 60_000_000 / limits.RequestsPerMinute : 0;

    private static int BurstOf(KeyLimits limits) =>
        limits.Burst > 0 ? limits.Burst : Math.Max(1, limits.RequestsPerMinute / 10);
}
