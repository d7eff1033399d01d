using System.Threading.RateLimiting;
using Sluice.Gateway.Api;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Auth;

/// <summary>
/// Paces questions about jobs (status, stream, lists, health, cancel, purge), for each key at this gateway and by the work they cause
/// (<see cref="PollCharge"/>): a caller that polls in a tight loop must not slow down those who send work. Up to the rate nothing is seen
/// of it; above it an answer waits its turn, and when too many
/// wait the rest is refused with 429. A refusal comes after the second that it names: who does not heed Retry-After, and asks again
/// as soon as it is answered, would cost as much as if it had been answered.
/// </summary>
public sealed class PollLimits : IDisposable
{
    /// <summary>Refusals that wait at this gateway at once, a few KB each; beyond them a refusal comes at once.</summary>
    internal const int MostHeld = 4096;

    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(1);

    private readonly int rate;
    private readonly PartitionedRateLimiter<string> limiter;
    private readonly GatewayMetrics metrics;
    private readonly TimeProvider time;
    private int held;

    /// <param name="rate">Questions a second that a key may ask; 0: no limit.</param>
    /// <param name="metrics">Where refusals are counted.</param>
    /// <param name="time">For the second that a refusal waits.</param>
    public PollLimits(int rate, GatewayMetrics metrics, TimeProvider time) : this(rate, Limiter(rate), metrics, time)
    {
    }

    internal PollLimits(int rate, PartitionedRateLimiter<string> limiter, GatewayMetrics metrics, TimeProvider time) =>
        (this.rate, this.limiter, this.metrics, this.time) = (rate, limiter, metrics, time);

    public async Task InvokeAsync(HttpContext context, Caller? caller, RequestDelegate next)
    {
        // On a public endpoint an address stands for a key.
        var who = caller?.KeyId ?? context.Connection.RemoteIpAddress?.ToString() ?? "";
        using var turn = await limiter.AcquireAsync(who, 1, context.RequestAborted);
        if (turn.IsAcquired)
        {
            context.Features.Set(new PollCharge(limiter, who, rate, time));
            await next(context);
            return;
        }

        metrics.Limited("polls");
        await HoldAsync(context.RequestAborted);
        await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"more than {rate} questions a second about jobs (SLUICE_POLL_RATE); /status-sync waits for a job's end, and a webhook tells it",
            AskAgain);
    }

    private async Task HoldAsync(CancellationToken gone)
    {
        try
        {
            if (Interlocked.Increment(ref held) <= MostHeld) await Task.Delay(AskAgain, time, gone);
        }
        finally
        {
            Interlocked.Decrement(ref held);
        }
    }

    public void Dispose() => limiter.Dispose();

    private static PartitionedRateLimiter<string> Limiter(int rate) => PartitionedRateLimiter.Create<string, string>(who =>
        rate == 0 ? RateLimitPartition.GetNoLimiter(who) : RateLimitPartition.GetTokenBucketLimiter(who, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = rate,
            TokensPerPeriod = rate,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            // Nobody waits for longer than about a second.
            QueueLimit = rate,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        }));
}

/// <summary>Route metadata: it asks, again and again.</summary>
public sealed record Polled;
