using Sluice.Storage.Background;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Redis;

public sealed class SharedTicksTest
{
    [Theory]
    [InlineData(1000, 0, 1000)]
    [InlineData(1000, 1, 999)]
    [InlineData(1000, 900, 100)]
    [InlineData(1000, 901, 1099)]
    [InlineData(1000, 999, 1001)]
    [InlineData(5000, 7300, 2700)]
    [InlineData(500, 499, 501)]
    public void The_next_tick_is_at_a_multiple_of_the_period(int period, int now, int expected)
    {
        var time = new ManualTime();
        time.Advance(TimeSpan.FromMilliseconds(now));
        var left = SharedTicks.UntilNext(TimeSpan.FromMilliseconds(period), time);
        Assert.Equal(TimeSpan.FromMilliseconds(expected), left);
    }

    [Fact]
    public async Task Timers_that_were_created_at_different_times_tick_together()
    {
        var time = new ManualTime();
        time.Advance(TimeSpan.FromMilliseconds(130));
        using var first = SharedTicks.Every(TimeSpan.FromSeconds(1), time);
        time.Advance(TimeSpan.FromMilliseconds(470));
        using var second = SharedTicks.Every(TimeSpan.FromSeconds(2), time);
        var third = SharedTicks.WaitAsync(TimeSpan.FromSeconds(1), time, CancellationToken.None);
        Task[] ticks = [Tick(first), third];
        time.Advance(TimeSpan.FromMilliseconds(399));
        Assert.DoesNotContain(ticks, t => t.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Eventually.CompletesAsync(Task.WhenAll(ticks));
        ticks = [Tick(first), Tick(second)];
        time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.DoesNotContain(ticks, t => t.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Eventually.CompletesAsync(Task.WhenAll(ticks));
    }

    private static Task<bool> Tick(PeriodicTimer timer) => timer.WaitForNextTickAsync().AsTask();
}
