using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Startup;
using Sluice.Testing;

namespace Sluice.Gateway.Tests;

/// <summary>Tests that an unsuitable Redis is rejected with its address and the reason.</summary>
public sealed class RedisSetupTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Theory]
    [InlineData("127.0.0.1:1", "did not respond")]
    [InlineData("wrong password", "rejected the password")]
    public async Task An_unreachable_Redis_is_reported_with_its_address(string settings, string reason)
    {
        // The password is rejected when the client has connected, and then nothing more is waited for.
        var isRejected = settings == "wrong password";
        if (isRejected)
            settings = redis.ConnectionString.Replace(RedisFixture.Password, "another", StringComparison.Ordinal);
        using var connection = await RedisSetup.ConnectAsync(settings);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => RedisSetup.WaitAsync(
            connection,
            settings,
            isRejected ? ChildProcess.Patience : TimeSpan.FromMilliseconds(1),
            TimeProvider.System,
            NullLogger.Instance));
        Assert.Contains("127.0.0.1:", e.Message, StringComparison.Ordinal);
        Assert.Contains("SLUICE_REDIS", e.Message, StringComparison.Ordinal);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        await connection.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task A_Redis_that_may_evict_keys_is_rejected()
    {
        using var connection = await RedisSetup.ConnectAsync(redis.ConnectionString);
        await RedisSetup.WaitAsync(
            connection, redis.ConnectionString, TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger.Instance);
        await RedisSetup.CheckAsync(connection, NullLogger.Instance);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => RedisSetup.CheckAsync(connection, NullLogger.Instance));
        Assert.Contains("'allkeys-lru'; expected noeviction", e.Message, StringComparison.Ordinal);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "noeviction");
        await connection.CloseAsync(allowCommandsToComplete: false);
    }
}
