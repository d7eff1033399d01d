using System.Threading.RateLimiting;
using Sluice.Gateway.Authentication;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests that work is charged in units by its cost.</summary>
public sealed class PollChargeTest : IDisposable
{
    private const int Rate = 10;

    private readonly ManualTime time = new();
    private readonly PartitionedRateLimiter<string> limiter = PartitionedRateLimiter.Create<string, string>(key =>
        RateLimitPartition.GetTokenBucketLimiter(key, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = Rate,
            TokensPerPeriod = 1,
            ReplenishmentPeriod = TimeSpan.FromDays(1),
            QueueLimit = 0,
        }));

    public void Dispose() => limiter.Dispose();

    [Fact]
    public async Task A_list_costs_one_unit_per_four_jobs_and_waits_when_the_budget_is_used()
    {
        var charge = new PollCharge(limiter, "k", Rate, time);
        await charge.TakeAsync(3, PollCharge.Jobs, default);
        Assert.Equal(Rate, limiter.GetStatistics("k")?.CurrentAvailablePermits ?? Rate);
        await charge.TakeAsync(39, PollCharge.Jobs, default);
        Assert.Equal(1, limiter.GetStatistics("k")!.CurrentAvailablePermits);
        using var gone = new CancellationTokenSource();
        var waits = charge.TakeAsync(8, PollCharge.Jobs, gone.Token);
        Assert.False(waits.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.False(waits.IsCompleted);
        // Another key is not affected.
        await new PollCharge(limiter, "other", Rate, time).TakeAsync(40, PollCharge.Jobs, default);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
    }

    [Fact]
    public async Task Work_that_costs_more_than_one_second_of_budget_is_charged_in_parts()
    {
        using var gone = new CancellationTokenSource();
        var charge = new PollCharge(limiter, "k", Rate, time);
        var waits = charge.TakeAsync(25 * PollCharge.Bytes, PollCharge.Bytes, gone.Token);
        Assert.Equal(0, limiter.GetStatistics("k")!.CurrentAvailablePermits);
        Assert.False(waits.IsCompleted);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
    }

    [Fact]
    public async Task Without_a_rate_limit_work_is_free() =>
        await new PollCharge(limiter, "k", 0, time).TakeAsync(long.MaxValue, 1, default);
}
