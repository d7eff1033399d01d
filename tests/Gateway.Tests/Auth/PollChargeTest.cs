using System.Threading.RateLimiting;
using Sluice.Gateway.Auth;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Work is charged in units, by what it costs.</summary>
public sealed class PollChargeTest : IDisposable
{
    private const int Rate = 10;

    private readonly ManualTime time = new();
    private readonly PartitionedRateLimiter<string> limiter = PartitionedRateLimiter.Create<string, string>(who => RateLimitPartition.GetTokenBucketLimiter(who,
        _ => new TokenBucketRateLimiterOptions { TokenLimit = Rate, TokensPerPeriod = 1, ReplenishmentPeriod = TimeSpan.FromDays(1), QueueLimit = 0 }));

    public void Dispose() => limiter.Dispose();

    [Fact]
    public async Task A_list_costs_a_unit_for_each_four_jobs_and_waits_when_the_units_are_used()
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
    public async Task Work_of_more_units_than_a_second_has_takes_them_in_parts()
    {
        using var gone = new CancellationTokenSource();
        var waits = new PollCharge(limiter, "k", Rate, time).TakeAsync(25 * PollCharge.Bytes, PollCharge.Bytes, gone.Token);
        Assert.Equal(0, limiter.GetStatistics("k")!.CurrentAvailablePermits);
        Assert.False(waits.IsCompleted);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
    }

    [Fact]
    public async Task Without_a_rate_nothing_is_charged() =>
        await new PollCharge(limiter, "k", 0, time).TakeAsync(long.MaxValue, 1, default);
}
