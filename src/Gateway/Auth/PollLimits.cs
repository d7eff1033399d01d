using System.Threading.RateLimiting;
using Sluice.Gateway.Api;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Auth;

/// <summary>
/// Paces questions about jobs (status, stream, lists, health), for each key at this gateway: whoever polls in a tight loop must
/// not slow down those who send work. Up to the rate nothing is seen of it; above it an answer waits its turn, and when too many
/// wait the rest is refused with 429.
/// </summary>
/// <param name="rate">Questions a second that a key may ask; 0: no limit.</param>
/// <param name="metrics">Where refusals are counted.</param>
public sealed class PollLimits(int rate, GatewayMetrics metrics) : IDisposable
{
    private readonly PartitionedRateLimiter<string> limiter = PartitionedRateLimiter.Create<string, string>(who =>
        rate == 0 ? RateLimitPartition.GetNoLimiter(who) : RateLimitPartition.GetTokenBucketLimiter(who, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = rate,
            TokensPerPeriod = rate,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            // Nobody waits for longer than about a second.
            QueueLimit = rate,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        }));

    public async Task InvokeAsync(HttpContext context, Caller? caller, RequestDelegate next)
    {
        // On a public endpoint an address stands for a key.
        var who = caller?.KeyId ?? context.Connection.RemoteIpAddress?.ToString() ?? "";
        using var turn = await limiter.AcquireAsync(who, 1, context.RequestAborted);
        if (turn.IsAcquired)
        {
            await next(context);
            return;
        }

        metrics.Limited("polls");
        await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"more than {rate} questions a second about jobs (SLUICE_POLL_RATE); /status-sync waits for a job's end, and a webhook tells it",
            TimeSpan.FromSeconds(1));
    }

    public void Dispose() => limiter.Dispose();
}

/// <summary>Route metadata: it asks, again and again.</summary>
public sealed record Polled;
