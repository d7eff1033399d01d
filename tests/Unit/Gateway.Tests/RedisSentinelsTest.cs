using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Startup;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Gateway.Tests;

/// <summary>A failed primary returns as a primary, before the Sentinels make it a replica.</summary>
public sealed class RedisSentinelsTest : IAsyncLifetime
{
    private const string Topic = "sluice:test:topic";

    private ReplicatedRedis redis = null!;

    public async ValueTask InitializeAsync() => redis = await ReplicatedRedis.StartAsync(replicas: 1, sentinels: 3);

    public ValueTask DisposeAsync() => redis.DisposeAsync();

    [Fact]
    public async Task Only_the_primary_that_the_Sentinels_name_is_used_and_subscriptions_continue_there()
    {
        await using var connection = await RedisSetup.ConnectAsync(
            redis.ConnectionString, ChildProcess.Patience, TimeProvider.System, NullLogger.Instance);
        var store = new RedisStore(connection);
        var (changes, messages) = (Channel.CreateUnbounded<string>(), Channel.CreateUnbounded<string>());
        store.OnReconnected(() => changes.Writer.TryWrite($"{connection.Current.GetEndPoints().Single()}"));
        await store.SubscribeAsync(Topic, m => messages.Writer.TryWrite(m), default);
        await store.Database.StringSetAsync("before", "value");

        var failed = await redis.KillPrimaryAsync();
        var promoted = await redis.PromotedAsync(failed);
        // It is a primary again, on its own data: the Sentinels wait for about 10 s.
        await failed.RestartAsync();
        while (await changes.Reader.ReadAsync().AsTask().WaitAsync(ChildProcess.Patience) != promoted.Address)
        {
            // Restored connections are reported too.
        }

        var commands = connection.OperationCount;
        for (var i = 0; i < 100; i++) Assert.True(await store.Database.StringSetAsync($"after:{i}", "value"));
        Assert.True(connection.OperationCount >= commands + 100);
        Assert.Contains("role:master", await InfoAsync(failed), StringComparison.Ordinal);
        for (var i = 0; i < 100; i++) Assert.Equal("value", (string?)await promoted.ExecuteAsync("GET", $"after:{i}"));
        Assert.Equal("value", (string?)await store.Database.StringGetAsync("before"));

        await promoted.ExecuteAsync("PUBLISH", Topic, "after");
        Assert.Equal("after", await messages.Reader.ReadAsync().AsTask().WaitAsync(ChildProcess.Patience));
        Assert.False(messages.Reader.TryRead(out _));
        // The former primary becomes a replica, and the gateway stays where it is.
        await ReplicatedRedis.IsReplicaAsync(failed);
        Assert.Equal(promoted.Address, $"{connection.Current.GetEndPoints().Single()}");
    }

    [Fact]
    public async Task A_replica_that_may_evict_keys_is_rejected_although_no_command_goes_to_it()
    {
        await redis.Servers[1].ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        await using var connection = await RedisSetup.ConnectAsync(
            redis.ConnectionString, ChildProcess.Patience, TimeProvider.System, NullLogger.Instance);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => RedisSetup.CheckAsync(
            connection, redis.ConnectionString, TimeProvider.System, NullLogger.Instance));
        Assert.Contains(redis.Servers[1].Address, e.Message, StringComparison.Ordinal);
        Assert.Contains("'allkeys-lru'; expected noeviction", e.Message, StringComparison.Ordinal);
    }

    private static async Task<string> InfoAsync(RedisServer server) =>
        (string)(await server.ExecuteAsync("INFO", "replication"))!;
}
