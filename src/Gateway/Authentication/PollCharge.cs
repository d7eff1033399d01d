using System.Threading.RateLimiting;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Charges the work of a job query to the key's poll budget. A list of 1,000 jobs and the status of one job are one
/// request each, but not the same work. Each key therefore has a budget of units per second (<c>SLUICE_POLL_RATE</c>).
/// A query costs one unit; its additional work is charged here, before the work is done.
/// </summary>
public sealed class PollCharge(PartitionedRateLimiter<string> limiter, string partition, int rate, TimeProvider time)
{
    /// <summary>Jobs per unit in a list. A job in a list costs less than a separate request.</summary>
    public const int Jobs = 4;

    /// <summary>Jobs per unit in a bulk cancellation.</summary>
    public const int Ends = 20;

    /// <summary>Queue positions read per unit.</summary>
    public const int Tickets = 200;

    /// <summary>Bytes of outputs and streams per unit.</summary>
    public const int Bytes = 64 << 10;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>Returns the charge of a request, or null if the request is not rate-limited.</summary>
    public static PollCharge? Find(HttpContext context) => context.Features.Get<PollCharge>();

    /// <summary>Waits until the key's budget covers the cost of the work.</summary>
    /// <param name="count">The number of jobs, queue positions or bytes.</param>
    /// <param name="perUnit">How many of these cost one unit. A remainder is free.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task TakeAsync(long count, int perUnit, CancellationToken ct)
    {
        if (rate == 0) return;
        for (var units = count / perUnit; units > 0;)
        {
            var batch = (int)Math.Min(units, rate);
            using var lease = await limiter.AcquireAsync(partition, batch, ct);
            if (lease.IsAcquired) units -= batch;
            // The limiter's queue is full.
            else await Task.Delay(RetryDelay, time, ct);
        }
    }
}
