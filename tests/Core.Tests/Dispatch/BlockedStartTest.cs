using Sluice.Core.Dispatch;

namespace Sluice.Core.Tests.Dispatch;

/// <summary>What a refused request is told about the time.</summary>
public sealed class BlockedStartTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 22, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(2 * 3600, 2 * 3600)]
    [InlineData(37, 37)]
    [InlineData(0.2, 1)]
    [InlineData(-3, 1)]
    public void Retry_after_is_the_time_until_the_block_ends_and_at_least_a_second(double ends, double told) =>
        Assert.Equal(told, new BlockedStart("x", Now.AddSeconds(ends)).RetryAfter(Now).TotalSeconds);

    [Fact]
    public void A_block_that_an_operator_ends_may_be_asked_about_every_five_seconds() =>
        Assert.Equal(TimeSpan.FromSeconds(5), new BlockedStart("paused", DateTimeOffset.MaxValue).RetryAfter(Now));
}
