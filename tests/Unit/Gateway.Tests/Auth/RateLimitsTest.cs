using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Observability;
using Sluice.Storage.Keys;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests the count of a key's concurrent requests if the reply of Redis is late or lost.</summary>
public sealed class RateLimitsTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private const int Sigstop = 19;
    private const int Sigcont = 18;

    private readonly ManualTime time = new();
    private readonly Caller caller = new(
        Guid.NewGuid().ToString("N"),
        "ann",
        new KeyScope { Invoke = ["*"] },
        new KeyLimits { Concurrent = 2 });

    [Fact]
    public async Task A_request_that_is_aborted_while_it_is_counted_is_not_counted()
    {
        var limits = Limits();
        Assert.True(await PassesAsync(limits));
        for (var i = 0; i < 10; i++)
        {
            using var gone = new CancellationTokenSource();
            redis.Signal(Sigstop);
            var request = PassesAsync(limits, aborted: gone.Token);
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
            redis.Signal(Sigcont);
        }

        await NoneIsCountedAsync();
        Assert.True(await PassesAsync(limits));
    }

    [Fact]
    public async Task A_request_that_is_admitted_while_Redis_is_suspended_is_counted_only_while_it_runs()
    {
        var limits = Limits();
        Assert.True(await PassesAsync(limits));
        for (var i = 0; i < 3; i++)
        {
            redis.Signal(Sigstop);
            var request = PassesAsync(limits);
            time.Advance(TimeSpan.FromSeconds(1));
            Assert.True(await request);
            redis.Signal(Sigcont);
        }

        await NoneIsCountedAsync();
        Assert.True(await PassesAsync(limits));
    }

    [Fact]
    public async Task A_key_whose_count_has_another_type_is_not_limited()
    {
        await redis.Store.Database.StringSetAsync(Flight, "not a sorted set");
        Assert.True(await PassesAsync(Limits()));
        await redis.Store.Database.KeyDeleteAsync(Flight);
    }

    [Fact]
    public async Task A_running_request_is_counted_and_a_request_above_the_limit_is_rejected()
    {
        var limits = Limits();
        var end = new TaskCompletionSource();
        var (first, second) = (PassesAsync(limits, until: end.Task), PassesAsync(limits, until: end.Task));
        await Eventually.HoldsAsync(
            async () => await redis.Store.Database.SortedSetLengthAsync(Flight) == 2,
            "two requests are counted");
        Assert.False(await PassesAsync(limits));
        end.SetResult();
        Assert.True(await first && await second);
        await NoneIsCountedAsync();
    }

    private RedisKey Flight => $"sluice:{{key:{caller.KeyId}}}:flight";

    private RateLimits Limits() => new(redis.Store, new GatewayMetrics(), time, NullLogger<RateLimits>.Instance);

    /// <summary>
    /// Waits until no request is counted. Redis executes the commands of one connection in order, so a late count
    /// command runs before this read. The count does not expire here.
    /// </summary>
    private Task NoneIsCountedAsync() => Eventually.HoldsAsync(async () =>
    {
        await redis.Store.Database.KeyPersistAsync(Flight);
        return await redis.Store.Database.SortedSetLengthAsync(Flight) == 0;
    }, "no request is counted");

    private async Task<bool> PassesAsync(RateLimits limits, Task? until = null, CancellationToken aborted = default)
    {
        var passed = false;
        var context = new DefaultHttpContext { RequestAborted = aborted };
        context.Response.Body = new MemoryStream();
        await limits.InvokeAsync(context, caller, async _ =>
        {
            passed = true;
            await (until ?? Task.CompletedTask);
        });
        return passed;
    }
}
