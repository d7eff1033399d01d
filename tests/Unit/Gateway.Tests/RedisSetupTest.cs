using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Startup;
using Sluice.Storage.Redis;
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
        await using var connection = await ConnectAsync(settings);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => RedisSetup.WaitAsync(
            connection,
            settings,
            isRejected ? ChildProcess.Patience : TimeSpan.FromMilliseconds(1),
            TimeProvider.System,
            NullLogger.Instance));
        Assert.Contains("127.0.0.1:", e.Message, StringComparison.Ordinal);
        Assert.Contains("SLUICE_REDIS", e.Message, StringComparison.Ordinal);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sentinels_that_do_not_know_the_service_are_reported_with_its_name()
    {
        await using var primary = await RedisServer.StartAsync();
        await using var sentinel = await RedisServer.StartSentinelAsync("known", primary, 1, ChildProcess.Patience);
        foreach (var address in new[] { sentinel.Address, "127.0.0.1:1" })
        {
            var settings = $"{address},serviceName=other,password={RedisFixture.Password}";
            var e = await Assert.ThrowsAsync<InvalidOperationException>(() => RedisSetup.OpenAsync(
                settings, TimeSpan.FromMilliseconds(1), TimeProvider.System, NullLogger.Instance));
            Assert.Contains($"The Sentinels {address}", e.Message, StringComparison.Ordinal);
            Assert.Contains("'other'", e.Message, StringComparison.Ordinal);
            Assert.Contains("SLUICE_REDIS", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(RedisFixture.Password, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_Redis_Cluster_is_rejected_by_its_name()
    {
        await using var node = await RedisServer.StartAsync(
            "--cluster-enabled", "yes", "--cluster-port", $"{FreePort.Find()}");
        await node.ExecuteAsync("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
        var settings = $"{node.Address},password={RedisFixture.Password}";
        await using var connection = await ConnectAsync(settings);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => CheckAsync(connection, settings));
        Assert.Contains($"Redis {node.Address} is a node of a Redis Cluster", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Redis_that_may_evict_keys_is_rejected()
    {
        await using var connection = await ConnectAsync(redis.ConnectionString);
        await RedisSetup.WaitAsync(
            connection, redis.ConnectionString, TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger.Instance);
        await CheckAsync(connection, redis.ConnectionString);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => CheckAsync(connection, redis.ConnectionString));
        Assert.Contains("'allkeys-lru'; expected noeviction", e.Message, StringComparison.Ordinal);
        await redis.Store.Database.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "noeviction");
    }

    private static Task<RedisConnection> ConnectAsync(string settings) => RedisSetup.ConnectAsync(
        settings, ChildProcess.Patience, TimeProvider.System, NullLogger.Instance);

    private static Task CheckAsync(RedisConnection connection, string settings) =>
        RedisSetup.CheckAsync(connection, settings, TimeProvider.System, NullLogger.Instance);
}
