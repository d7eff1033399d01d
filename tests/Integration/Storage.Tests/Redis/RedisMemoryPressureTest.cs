using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Redis;

public sealed class RedisMemoryPressureTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Theory]
    [InlineData(89, 100, false)]
    [InlineData(90, 100, true)]
    [InlineData(200, 100, true)]
    [InlineData(200, 0, false)]
    public void A_server_is_full_at_nine_tenths_of_its_maxmemory(long used, long most, bool full) =>
        Assert.Equal(
            full,
            RedisMemoryPressure.IsFull(
                $"# Memory\r\nused_memory:{used}\r\nused_memory_peak:1000\r\n"
                + $"maxmemory_human:1\r\nmaxmemory:{most}\r\n"));

    [Fact]
    public void The_memory_of_several_servers_has_a_limit_if_each_has_one()
    {
        RedisMemory[] servers = [new(1, 10), new(2, 20)];
        Assert.Equal(new RedisMemory(3, 30), RedisMemory.Sum(servers));
        Assert.Equal(new RedisMemory(4, 0), RedisMemory.Sum([.. servers, new(1, 0)]));
        Assert.Null(RedisMemory.Sum([]));
    }

    [Fact]
    public async Task It_detects_a_full_Redis_and_one_with_free_memory_again()
    {
        using var admin = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString + ",allowAdmin=true");
        var time = new ManualTime();
        using var memory = new RedisMemoryPressure(
            new RedisStore(admin), time, NullLogger<RedisMemoryPressure>.Instance);
        await memory.RefreshAsync();
        Assert.False(memory.HasNoRoom("e"));
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");
        await memory.RefreshAsync();
        Assert.True(memory.HasNoRoom("e"));
        Assert.Equal(1 << 20, memory.Memory!.Limit);
        Assert.InRange(memory.Memory!.Used, 1 << 18, 1 << 28);
        // A result is not used for long if Redis cannot be asked again.
        time.Advance(RedisMemoryPressure.StaleAfter);
        Assert.False(memory.HasNoRoom("e"));
        Assert.Null(memory.Memory);
        await memory.RefreshAsync();
        Assert.True(memory.HasNoRoom("e"));
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
        await memory.RefreshAsync();
        Assert.False(memory.HasNoRoom("e"));
    }

    [Fact]
    public async Task Only_the_error_of_a_full_redis_counts_as_out_of_memory()
    {
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");
        var refused = await Assert.ThrowsAsync<RedisServerException>(
            () => redis.Store.Database.StringSetAsync("a", "1"));
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
        Assert.True(RedisMemoryPressure.IsOutOfMemory(refused));
        var wrong = await Assert.ThrowsAsync<RedisServerException>(
            () => redis.Store.Database.ExecuteAsync("NO-SUCH-COMMAND"));
        Assert.False(RedisMemoryPressure.IsOutOfMemory(wrong));
        Assert.False(RedisMemoryPressure.IsOutOfMemory(new TimeoutException("OOM")));
    }
}
