using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Testing;

namespace Sluice.Gateway.Tests;

/// <summary>A Redis that cannot hold the queue is refused by name.</summary>
public sealed class RedisSetupTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Theory]
    [InlineData("127.0.0.1:1")]
    [InlineData("wrong password")]
    public async Task One_that_does_not_answer_is_told_with_its_address(string settings)
    {
        using var connection = await RedisSetup.ConnectAsync(
            settings == "wrong password" ? redis.ConnectionString.Replace(RedisFixture.Password, "another", StringComparison.Ordinal) : settings);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => RedisSetup.WaitAsync(connection, TimeSpan.FromMilliseconds(1), TimeProvider.System, NullLogger.Instance));
        Assert.Contains("127.0.0.1:", e.Message, StringComparison.Ordinal);
        Assert.Contains("SLUICE_REDIS", e.Message, StringComparison.Ordinal);
        await connection.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task One_that_may_throw_keys_away_is_refused()
    {
        using var connection = await RedisSetup.ConnectAsync(redis.ConnectionString);
        await RedisSetup.WaitAsync(connection, TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger.Instance);
        await RedisSetup.CheckAsync(connection, NullLogger.Instance);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => RedisSetup.CheckAsync(connection, NullLogger.Instance));
        Assert.Contains("'allkeys-lru'; expected noeviction", e.Message, StringComparison.Ordinal);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "noeviction");
        await connection.CloseAsync(allowCommandsToComplete: false);
    }
}
