using System.Globalization;
using Sluice.Core;
using Sluice.Core.Redis;
using Sluice.Gateway.Api;
using Sluice.Gateway.Operations;
using StackExchange.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>
/// The limits of keys that have some: requests a minute and requests at once, counted in Redis over all gateways. Answers carry
/// <c>RateLimit</c> and <c>RateLimit-Policy</c> (draft-ietf-httpapi-ratelimit-headers-10). While Redis cannot count requests
/// pass: who may do what is decided before, and an outage must not be made longer by its limits.
/// </summary>
public sealed class RateLimits(RedisStore redis, GatewayMetrics metrics, TimeProvider time, ILogger<RateLimits> logger)
{
    /// <summary>How long a request counts whose gateway does not say that it still runs: a killed one says nothing.</summary>
    internal static readonly TimeSpan Flight = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan TellEvery = Flight / 3;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly Script LimitLua = Script.Load("limit");
    private static readonly Script KeepLua = Script.Load("limit-keep");

    private readonly FlightReleases releases = new(redis, time);
    private readonly FailureLog failures = new(time, logger);

    public async Task InvokeAsync(HttpContext context, Caller caller, RequestDelegate next)
    {
        var limits = caller.Limits;
        var request = limits.Concurrent > 0 ? Guid.NewGuid().ToString("N") : "";
        RedisKey rate = $"sluice:{{key:{caller.KeyId}}}:rate", flight = $"sluice:{{key:{caller.KeyId}}}:flight";
        var counting = CountAsync(rate, flight, limits, request);
        // The count is released on each way out: also when its outcome is not known yet, because it may still be made.
        var counted = request.Length > 0;
        try
        {
            if (await AnswerOfAsync(counting, caller.KeyId, context.RequestAborted) is { } r)
            {
                Tell(context, limits, (int)r[2], (long)r[3]);
                if ((int)r[0] == 0)
                {
                    counted = false;
                    await RefuseAsync(context, caller, (string)r[1], TimeSpan.FromMilliseconds((long)r[4]));
                    return;
                }
            }

            if (!counted)
            {
                await next(context);
                return;
            }

            await using var timer = time.CreateTimer(_ => Keep(flight, request), null, TellEvery, TellEvery);
            await next(context);
        }
        finally
        {
            if (counted) releases.Release(flight, request, counting);
        }
    }

    private async Task<RedisResult[]> CountAsync(RedisKey rate, RedisKey flight, KeyLimits limits, string request) =>
        (RedisResult[])await LimitLua.RunAsync(redis.Database, [rate, flight],
        [
            limits.RequestsPerMinute > 0 ? 60_000_000 / limits.RequestsPerMinute : 0, BurstOf(limits), limits.Concurrent, request,
            (long)Flight.TotalMilliseconds,
        ]);

    /// <summary>Null: Redis did not count it.</summary>
    private async Task<RedisResult[]?> AnswerOfAsync(Task<RedisResult[]> counting, string keyId, CancellationToken aborted)
    {
        try
        {
            return await counting.WaitAsync(Patience, time, aborted);
        }
        catch (Exception e) when (!aborted.IsCancellationRequested && RedisFaults.Of(e) != RedisFault.None)
        {
            failures.Report($"Counting the requests of key {keyId}", e);
            return null;
        }
    }

    private Task RefuseAsync(HttpContext context, Caller caller, string why, TimeSpan retryAfter)
    {
        metrics.Limited(why);
        return Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, why == "rate"
            ? $"key {caller.KeyId} may send {caller.Limits.RequestsPerMinute} requests a minute, {BurstOf(caller.Limits)} at once"
            : $"key {caller.KeyId} has {caller.Limits.Concurrent} requests at once already, which is its limit", retryAfter);
    }

    /// <summary>A lost call is no matter: two more come before the lease ends.</summary>
    private void Keep(RedisKey flight, string request) =>
        _ = KeepLua.RunAsync(redis.Database, [flight], [request, (long)Flight.TotalMilliseconds])
            .ContinueWith(t => _ = t.Exception, TaskScheduler.Default);

    private static int BurstOf(KeyLimits limits) => limits.Burst > 0 ? limits.Burst : Math.Max(1, limits.RequestsPerMinute / 10);

    private static void Tell(HttpContext context, KeyLimits limits, int left, long wholeMs)
    {
        if (limits.RequestsPerMinute == 0) return;
        var headers = context.Response.Headers;
        headers["RateLimit-Policy"] = string.Create(CultureInfo.InvariantCulture, $"\"minute\";q={limits.RequestsPerMinute};w=60");
        headers["RateLimit"] = string.Create(CultureInfo.InvariantCulture, $"\"minute\";r={left};t={(wholeMs + 999) / 1000}");
    }
}
