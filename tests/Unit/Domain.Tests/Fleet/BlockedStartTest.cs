using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>The Retry-After of requests that are rejected because no worker can start.</summary>
public sealed class BlockedStartTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 22, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(2 * 3600, 2 * 3600)]
    [InlineData(37, 37)]
    [InlineData(0.2, 1)]
    [InlineData(-3, 1)]
    public void Retry_after_is_the_time_until_the_block_ends_and_at_least_one_second(double ends, double expected) =>
        Assert.Equal(expected, new BlockedStart("x", Now.AddSeconds(ends)).RetryAfter(Now).TotalSeconds);

    [Fact]
    public void Retry_after_of_a_block_without_an_end_is_five_seconds() =>
        Assert.Equal(TimeSpan.FromSeconds(5), new BlockedStart("paused", DateTimeOffset.MaxValue).RetryAfter(Now));
}
