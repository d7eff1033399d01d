using Sluice.Domain.Schema;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>The version of the data, and the announcements of gateways, on a real Redis.</summary>
public sealed class SchemaStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const long Epoch = 7;
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);
    private static readonly SchemaStep Prepare =
        new(SchemaStepKind.Prepare, SchemaNumber.At(2), new SchemaNumber(2, 3));

    private ConnectionMultiplexer connection = null!;

    private IDatabase Database => connection.GetDatabase();

    public async ValueTask InitializeAsync()
    {
        connection = await redis.ConnectAsync();
        foreach (var key in new[] { EarlierGateway.Leases, EarlierGateway.Schema, "sluice:{hosts}:versions" })
            await Database.KeyDeleteAsync(key);
        await Database.StringSetAsync("sluice:{leader}:epoch", Epoch);
    }

    public async ValueTask DisposeAsync() => await connection.DisposeAsync();

    [Fact]
    public async Task An_empty_redis_gets_the_newest_version()
    {
        var (store, schema) = Gateway();
        await store.JoinAsync("a", Long, default);
        Assert.Equal("3", await Database.StringGetAsync(EarlierGateway.Schema));
        Assert.True(schema.Allows(3));
        Assert.False(await new EarlierGateway(Database, "old").StartAsync());
    }

    [Fact]
    public async Task A_gateway_of_an_earlier_build_keeps_the_version()
    {
        var earlier = new EarlierGateway(Database, "old");
        Assert.True(await earlier.StartAsync());
        var (store, schema) = Gateway();
        await store.JoinAsync("a", Long, default);
        Assert.Equal((2, 2), (schema.View.Schema.Active, schema.View.Usable));
        Assert.Equal(["old"], schema.View.Below(3).Select(g => g.HostId));
        Assert.Contains("earlier version of Sluice: old.", schema.WhyNot(3), StringComparison.Ordinal);
        Assert.False(await store.ChangeAsync(Prepare, Epoch, default));

        await earlier.StopAsync();
        Assert.True(await store.ChangeAsync(Prepare, Epoch, default));
        Assert.False(await earlier.StartAsync());
        await store.RenewAsync("a", Long, default);
        Assert.Equal((true, false), (schema.View.Schema.IsRaising, schema.Allows(3)));
    }

    [Fact]
    public async Task An_earlier_build_on_the_same_host_ends_the_announcement()
    {
        var (store, schema) = Gateway();
        await Database.StringSetAsync(EarlierGateway.Schema, 2);
        await store.JoinAsync("a", Long, default);
        await store.JoinAsync("b", Long, default);
        Assert.Empty(schema.View.Below(3));
        await new EarlierGateway(Database, "a").RenewAsync();
        await store.RenewAsync("b", Long, default);
        Assert.Equal(["a"], schema.View.Below(3).Select(g => g.HostId));
        await store.RenewAsync("a", Long, default);
        Assert.Empty(schema.View.Below(3));
        await store.RenewAsync("a", TimeSpan.Zero, default);
        Assert.Equal("b", Assert.Single(await Database.HashKeysAsync("sluice:{hosts}:versions")));
    }

    [Theory]
    [InlineData("4", "expected 2 to 3. A newer version of Sluice raised it")]
    [InlineData("3>4", "expected 2 to 3. A newer version of Sluice raised it")]
    [InlineData("1", "expected 2 to 3. Start a version of Sluice between")]
    [InlineData("many", "expected a number such as 3")]
    public async Task A_gateway_that_does_not_support_the_version_is_refused(string found, string why)
    {
        await Database.StringSetAsync(EarlierGateway.Schema, found);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Gateway().Store.JoinAsync("a", Long, default));
        Assert.Contains($"(sluice:schema) is '{found}'; {why}", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, await Database.SortedSetLengthAsync(EarlierGateway.Leases));
    }

    [Fact]
    public async Task A_gateway_that_starts_while_the_version_is_raised_counts_or_is_refused()
    {
        for (var i = 0; i < 50; i++)
        {
            await Database.StringSetAsync(EarlierGateway.Schema, 2);
            var leader = Gateway().Store;
            await leader.JoinAsync("leader", Long, default);
            var starting = Gateway(new SchemaRange(2, 2)).Store;
            var start = JoinsAsync(starting);
            var raise = leader.ChangeAsync(Prepare, Epoch, default);
            Assert.NotEqual(await start, await raise);
            await starting.RenewAsync("starting", TimeSpan.Zero, default);
        }

        async Task<bool> JoinsAsync(SchemaStore store)
        {
            try
            {
                await store.JoinAsync("starting", Long, default);
                return true;
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task Only_the_leader_changes_the_version_and_only_from_the_one_it_saw()
    {
        await Database.StringSetAsync(EarlierGateway.Schema, 2);
        var (store, _) = Gateway();
        await store.JoinAsync("a", Long, default);
        Assert.False(await store.ChangeAsync(Prepare, Epoch - 1, default));
        Assert.True(await store.ChangeAsync(Prepare, Epoch, default));
        Assert.False(await store.ChangeAsync(Prepare, Epoch, default));
        Assert.Equal("2>3", await Database.StringGetAsync(EarlierGateway.Schema));
    }

    [Fact]
    public async Task A_version_that_redis_lost_is_stored_again()
    {
        await Database.StringSetAsync(EarlierGateway.Schema, 2);
        var (store, _) = Gateway();
        await store.JoinAsync("a", Long, default);
        await Database.KeyDeleteAsync([EarlierGateway.Schema, EarlierGateway.Leases]);
        await store.RenewAsync("a", Long, default);
        Assert.Equal("2", await Database.StringGetAsync(EarlierGateway.Schema));

        // A gateway that starts then finds the others.
        await Database.KeyDeleteAsync(EarlierGateway.Schema);
        await new EarlierGateway(Database, "old").RenewAsync();
        await Gateway().Store.JoinAsync("b", Long, default);
        Assert.Equal("2", await Database.StringGetAsync(EarlierGateway.Schema));
    }

    [Fact]
    public async Task A_gateway_whose_version_was_left_behind_must_stop()
    {
        await Database.StringSetAsync(EarlierGateway.Schema, 3);
        var (store, schema) = Gateway();
        await store.JoinAsync("a", Long, default);
        Assert.False(schema.Unsupported.IsCompleted);
        await Database.StringSetAsync(EarlierGateway.Schema, 4);
        await store.RenewAsync("a", Long, default);
        Assert.True(schema.Unsupported.IsCompleted);
    }

    [Theory]
    [InlineData(2, "1|0|3600000|3|60000|3600000|f\n")]
    [InlineData(3, "1~50|0|3600000|3|60000|3600000|f\n")]
    public async Task Submissions_have_tokens_and_traces_only_if_every_gateway_reads_them(int version, string spec)
    {
        var endpoint = $"e{version}-{Guid.NewGuid():N}";
        var gateway = new RedisStore(connection) { Schema = new ActiveSchema(new SchemaRange(2, version)) };
        var jobs = new JobStore(gateway, new PayloadStore(gateway, "/nowhere"));
        await jobs.SubmitAsync(
            JobStoreTest.Job(endpoint, "a") with { Tokens = 50, Trace = "00-trace" }, default);
        var stored = (string)(await Database.HashGetAsync(new DispatchKeys(endpoint).Jobs, "a"))!;
        Assert.StartsWith(spec, stored, StringComparison.Ordinal);
        Assert.Equal(version > 2, stored.Contains("00-trace", StringComparison.Ordinal));
    }

    private (SchemaStore Store, ActiveSchema Schema) Gateway(SchemaRange? range = null)
    {
        var gateway = new RedisStore(connection) { Schema = new ActiveSchema(range) };
        return (new SchemaStore(gateway), gateway.Schema);
    }
}
