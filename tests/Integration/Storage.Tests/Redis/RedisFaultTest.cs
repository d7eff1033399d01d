using Sluice.Storage.Redis;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Redis;

/// <summary>The replies of a real Redis in each of its states, and their classification.</summary>
public sealed class RedisFaultTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private const string Write = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], 'value')";

    private IDatabase Db => redis.Store.Database;

    [Fact]
    public async Task A_command_without_permission_is_classified_so_inside_a_script_too()
    {
        using var limited = await UserAsync("-set");
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => limited.GetDatabase().StringSetAsync("key", "value")));
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => limited.GetDatabase().ScriptEvaluateAsync(Write, ["key"])));
        using var keyless = await UserAsync("resetkeys", "~other");
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => keyless.GetDatabase().StringSetAsync("key", "value")));
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => keyless.GetDatabase().ScriptEvaluateAsync("return redis.call('GET', 'key')")));
        using var silent = await UserAsync("resetchannels");
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => new RedisStore(silent).PublishAsync("channel", "message")));
        Assert.Equal(
            RedisFault.NoPermission,
            await FaultAsync(() => silent.GetDatabase().ScriptEvaluateAsync("return redis.call('PUBLISH', 'c', 'm')")));
    }

    [Fact]
    public async Task A_replica_is_read_only_even_for_a_script_that_may_write_but_does_not()
    {
        var script = Script.Load("writable");
        Assert.Equal(1, (int)await script.RunAsync(Db, [], []));
        await Db.ExecuteAsync("REPLICAOF", "127.0.0.1", "1");
        try
        {
            Assert.Equal(RedisFault.ReadOnly, await FaultAsync(() => Db.StringSetAsync("key", "value")));
            Assert.Equal(RedisFault.ReadOnly, await FaultAsync(() => script.RunAsync(Db, [], [])));
        }
        finally
        {
            await Db.ExecuteAsync("REPLICAOF", "NO", "ONE");
        }

        await Eventually.HoldsAsync(
            async () => await FaultAsync(() => script.RunAsync(Db, [], [])) == RedisFault.None,
            "the former replica accepts writes");
    }

    [Fact]
    public async Task Full_memory_rejects_writes_but_not_scripts_that_free_memory_or_probe()
    {
        await Db.ExecuteAsync("CONFIG", "SET", "maxmemory", "1");
        Assert.Equal(RedisFault.OutOfMemory, await FaultAsync(() => Db.StringSetAsync("key", "value")));
        Assert.Equal(RedisFault.None, await FaultAsync(() => Script.Load("writable").RunAsync(Db, [], [])));
        await Db.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
    }

    [Fact]
    public async Task A_key_of_another_type_is_wrong_data_and_a_script_error_is_rejected()
    {
        await Db.StringSetAsync("string", "value");
        Assert.Equal(RedisFault.WrongData, await FaultAsync(() => Db.HashGetAllAsync("string")));
        Assert.Equal(
            RedisFault.WrongData,
            await FaultAsync(() => Db.ScriptEvaluateAsync("return redis.call('HGETALL', KEYS[1])", ["string"])));
        Assert.Equal(RedisFault.Rejected, await FaultAsync(() => Db.ScriptEvaluateAsync("return 1 + {}")));
    }

    [Theory]
    [InlineData("LOADING Redis is loading the dataset in memory", RedisFault.Loading)]
    [InlineData("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", RedisFault.Loading)]
    [InlineData("BUSY Redis is busy running a script.", RedisFault.Busy)]
    [InlineData("CLUSTERDOWN The cluster is down", RedisFault.Incomplete)]
    [InlineData("TRYAGAIN Multiple keys request during rehashing of slot", RedisFault.Incomplete)]
    [InlineData("NOREPLICAS Not enough good replicas to write.", RedisFault.Incomplete)]
    [InlineData("NOAUTH Authentication required.", RedisFault.NoPermission)]
    [InlineData("MISCONF Errors writing to the AOF file: No space left on device", RedisFault.DiskFull)]
    public async Task The_other_replies_are_classified_by_their_code(string reply, RedisFault expected)
    {
        var e = await Assert.ThrowsAsync<RedisServerException>(
            () => Db.ScriptEvaluateAsync("return redis.error_reply(ARGV[1])", values: [reply]));
        Assert.Equal(expected, RedisFaults.Classify(e));
        Assert.True(RedisErrors.Is(e));
    }

    [Fact]
    public async Task A_command_without_a_connection_fails_and_does_not_run_when_the_connection_is_back()
    {
        var away = new RedisFixture();
        await away.InitializeAsync();
        try
        {
            var (db, lost) = (away.Store.Database, new TaskCompletionSource());
            away.Store.Connection.ConnectionFailed += (_, _) => lost.TrySetResult();
            await away.KillAsync();
            await lost.Task;
            var command = db.StringIncrementAsync("count");
            await away.StartAsync();
            Assert.Equal(RedisFault.Unreachable, await FaultAsync(() => command));
            await Eventually.HoldsAsync(
                async () => await FaultAsync(() => db.PingAsync()) == RedisFault.None,
                "the client has connected again");
            Assert.False(await db.KeyExistsAsync("count"));
        }
        finally
        {
            await away.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_server_that_has_lost_its_scripts_gets_them_again()
    {
        var script = Script.Load("writable");
        Assert.Equal(1, (int)await script.RunAsync(Db, [], []));
        await Db.ExecuteAsync("SCRIPT", "FLUSH");
        Assert.Equal(1, (int)await script.RunAsync(Db, [], []));
    }

    [Fact]
    public void Each_fault_has_a_different_sentence()
    {
        var all = Enum.GetValues<RedisFault>().Where(f => f != RedisFault.None).Select(f => f.Sentence()).ToList();
        Assert.Equal(all.Count, all.Distinct().Count());
        Assert.Equal("Redis is unreachable.", RedisFaults.Classify(new TimeoutException()).Sentence());
    }

    private async Task<ConnectionMultiplexer> UserAsync(params string[] rules)
    {
        var name = "u" + Guid.NewGuid().ToString("N");
        await Db.ExecuteAsync("ACL", ["SETUSER", name, "on", ">secret", "~*", "&*", "+@all", .. rules]);
        var connection = await redis.ConnectAsync();
        await connection.GetDatabase().ExecuteAsync("AUTH", name, "secret");
        return connection;
    }

    private static async Task<RedisFault> FaultAsync(Func<Task> call)
    {
        try
        {
            await call();
            return RedisFault.None;
        }
        catch (Exception e)
        {
            return RedisFaults.Classify(e);
        }
    }
}
