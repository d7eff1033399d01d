using System.Threading.RateLimiting;
using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Rate-limits job queries (status, stream, lists, health, cancel, purge) per key at this gateway, by the work that
/// they cause (<see cref="PollCharge"/>), so that a caller that polls in a tight loop cannot slow down job submission.
/// Queries up to the rate are not delayed. Queries above the rate wait in a queue, and when the queue is full they are
/// rejected with 429. A rejection is sent after the second that its Retry-After names: a client that ignores
/// Retry-After and retries immediately would otherwise cost as much as an accepted query.
/// </summary>
public sealed class StatusPollRateLimiter : IDisposable
{
    /// <summary>
    /// Rejections that this gateway delays concurrently, a few KB each. Rejections beyond it are not delayed.
    /// </summary>
    internal const int MaxDelayed = 4096;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly int rate;
    private readonly PartitionedRateLimiter<string> limiter;
    private readonly GatewayMetrics metrics;
    private readonly TimeProvider time;
    private int delayed;

    /// <summary>Creates the middleware.</summary>
    /// <param name="rate">Queries per second and key; 0 means no limit.</param>
    /// <param name="metrics">Counts the rejections.</param>
    /// <param name="time">The clock for the delay of a rejection.</param>
    public StatusPollRateLimiter(int rate, GatewayMetrics metrics, TimeProvider time)
        : this(rate, CreateLimiter(rate), metrics, time)
    {
    }

    internal StatusPollRateLimiter(
        int rate, PartitionedRateLimiter<string> limiter, GatewayMetrics metrics, TimeProvider time)
    {
        this.rate = rate;
        this.limiter = limiter;
        this.metrics = metrics;
        this.time = time;
    }

    public async Task InvokeAsync(HttpContext context, Caller? caller, RequestDelegate next)
    {
        // Requests without a key to a public endpoint are limited per IP address.
        var partition = caller?.KeyId ?? context.Connection.RemoteIpAddress?.ToString() ?? "";
        using var lease = await limiter.AcquireAsync(partition, 1, context.RequestAborted);
        if (lease.IsAcquired)
        {
            context.Features.Set(new PollCharge(limiter, partition, rate, time));
            await next(context);
            return;
        }

        metrics.Limited("polls");
        await DelayRejectionAsync(context.RequestAborted);
        await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"The rate of job queries is more than {rate} per second (SLUICE_POLL_RATE). "
            + "Use /status-sync, which waits until the job ends, or a webhook.",
            RetryDelay);
    }

    private async Task DelayRejectionAsync(CancellationToken aborted)
    {
        try
        {
            if (Interlocked.Increment(ref delayed) <= MaxDelayed) await Task.Delay(RetryDelay, time, aborted);
        }
        finally
        {
            Interlocked.Decrement(ref delayed);
        }
    }

    public void Dispose() => limiter.Dispose();

    private static PartitionedRateLimiter<string> CreateLimiter(int rate) =>
        PartitionedRateLimiter.Create<string, string>(partition => rate == 0
            ? RateLimitPartition.GetNoLimiter(partition)
            : RateLimitPartition.GetTokenBucketLimiter(partition, _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = rate,
                TokensPerPeriod = rate,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                // With this limit, a query waits for at most about one second.
                QueueLimit = rate,
                QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            }));
}
