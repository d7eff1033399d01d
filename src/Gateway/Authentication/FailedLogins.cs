using System.Net;
using System.Threading.RateLimiting;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Limits failed authentication attempts per IP address: a burst of <see cref="Burst"/>, refilled by one per second.
/// </summary>
public sealed class FailedLogins : IDisposable
{
    /// <summary>The failed attempts that an IP address may make in a burst.</summary>
    internal const int Burst = 20;

    private readonly PartitionedRateLimiter<IPAddress> limiter = PartitionedRateLimiter.Create<IPAddress, IPAddress>(
        address => RateLimitPartition.GetTokenBucketLimiter(address, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = Burst,
            TokensPerPeriod = 1,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            QueueLimit = 0,
        }));

    /// <summary>Counts a failed attempt. Returns false, and writes a response, if there were too many.</summary>
    public async Task<bool> TryCountAsync(HttpContext context)
    {
        using var lease = limiter.AttemptAcquire(context.Connection.RemoteIpAddress ?? IPAddress.None);
        if (lease.IsAcquired) return true;
        await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            "This IP address sent too many invalid API keys. Retry after 1 s.", TimeSpan.FromSeconds(1));
        return false;
    }

    public void Dispose() => limiter.Dispose();
}
