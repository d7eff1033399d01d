using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Schema;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Storage.Usage;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>The leader raises the version of the data in Redis, on a real Redis and a clock of the test.</summary>
public sealed class SchemaUpgradeTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private readonly ManualTime time = new();
    private readonly List<int> migrated = [];
    private RedisStore store = null!;
    private SchemaUpgrade upgrade = null!;
    private Func<CancellationToken, Task> migrate = _ => Task.CompletedTask;

    private IDatabase Database => store.Database;

    public async ValueTask InitializeAsync()
    {
        store = new RedisStore(await redis.ConnectAsync()) { Schema = new ActiveSchema() };
        foreach (var key in new[] { EarlierGateway.Leases, EarlierGateway.Schema, "sluice:{hosts}:versions" })
            await Database.KeyDeleteAsync(key);
        await Database.StringSetAsync(EarlierGateway.Schema, 2);
        var leadership = new LeaderElection(store, Guid.NewGuid().ToString());
        await Database.KeyDeleteAsync("sluice:{leader}:holder");
        await leadership.RenewAsync(default);
        var migrations = new SchemaMigrations(
        [
            new SchemaMigration(3, ct =>
            {
                migrated.Add(3);
                return migrate(ct);
            }),
            new SchemaMigration(4, _ => throw new InvalidOperationException("another version")),
        ]);
        upgrade = new SchemaUpgrade(store, new SchemaStore(store), leadership, migrations, time,
            NullLogger<SchemaUpgrade>.Instance);
        await upgrade.StartAsync(default);
    }

    public async ValueTask DisposeAsync()
    {
        await upgrade.StopAsync(default);
        upgrade.Dispose();
        await store.Connection.DisposeAsync();
    }

    [Fact]
    public async Task The_version_is_raised_after_both_waits_and_the_migration()
    {
        await BeatAsync(20);
        Assert.Equal("2", await SchemaAsync());
        await BeatAsync(1);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2>3");
        Assert.Empty(migrated);
        await BeatAsync(15);
        Assert.Equal("2>3", await SchemaAsync());
        await BeatAsync(1);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "3");
        Assert.Equal([3], migrated);
        await BeatAsync(60);
        Assert.Equal("3", await SchemaAsync());
    }

    [Fact]
    public async Task A_gateway_of_an_earlier_build_that_restarts_in_time_delays_the_version()
    {
        var earlier = new EarlierGateway(Database, "old");
        await BeatAsync(15);
        Assert.True(await earlier.StartAsync());
        await BeatAsync(60);
        Assert.Equal("2", await SchemaAsync());
        await earlier.StopAsync();
        await BeatAsync(20);
        Assert.Equal("2", await SchemaAsync());
        await BeatAsync(1);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2>3");
    }

    [Fact]
    public async Task A_gateway_that_was_starting_when_the_version_was_prepared_makes_the_leader_withdraw()
    {
        await BeatAsync(21);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2>3");
        // It read version 2 before that, and gets its lease now.
        await new EarlierGateway(Database, "old").RenewAsync();
        await BeatAsync(1);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2");
        Assert.Empty(migrated);
    }

    [Fact]
    public async Task A_pause_of_redis_is_no_time_in_which_gateways_could_start()
    {
        await BeatAsync(15);
        time.Advance(TimeSpan.FromSeconds(30));
        await BeatAsync(20);
        Assert.Equal("2", await SchemaAsync());
        await BeatAsync(1);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2>3");
    }

    [Fact]
    public async Task A_migration_that_failed_is_repeated_before_the_version_is_active()
    {
        migrate = _ => migrated.Count == 1 ? throw new InvalidOperationException("once") : Task.CompletedTask;
        await BeatAsync(21);
        await Eventually.HoldsAsync(async () => await SchemaAsync() == "2>3");
        await BeatAsync(16);
        await Eventually.HoldsAsync(() => migrated.Count == 1);
        Assert.Equal("2>3", await SchemaAsync());
        await Eventually.HoldsAsync(async () =>
        {
            await BeatAsync(1);
            return await SchemaAsync() == "3";
        });
        Assert.True(migrated.Count >= 2);
    }

    [Fact]
    public async Task The_migration_to_version_3_accepts_jobs_that_builds_without_usage_ended()
    {
        var endpoint = "ledger" + Guid.NewGuid().ToString("N");
        var ledger = new UsageLedger(store, time);
        var queries = new JobQueries(store, new JobStore(store, new PayloadStore(store, "/nowhere")));
        await ledger.RegisterAsync([endpoint], default);
        await new JobStore(store, new PayloadStore(store, "/nowhere"))
            .SubmitAsync(JobStoreTest.Job(endpoint, "a"), default);
        await new JobStore(store, new PayloadStore(store, "/nowhere")).CancelAsync(endpoint, "a", default);
        var meta = new DispatchKeys(endpoint).Meta;
        await Database.HashIncrementAsync(meta, "COMPLETED", 5);
        var before = await queries.CheckAsync(endpoint, default);
        Assert.Contains(before.Violations, v => v.Contains("COMPLETED", StringComparison.Ordinal));

        for (var run = 0; run < 2; run++)
        {
            await SchemaMigrations.Create(ledger).RunAsync(3, default);
            Assert.Empty((await queries.CheckAsync(endpoint, default)).Violations);
        }

        Assert.Equal(0, await ledger.SettleAsync(endpoint, default));
    }

    /// <summary>Renews the lease of the leader's host once a second.</summary>
    private async Task BeatAsync(int times)
    {
        for (var i = 0; i < times; i++)
        {
            await new SchemaStore(store).RenewAsync("leader", Long, default);
            upgrade.Observe();
            time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    private async Task<string?> SchemaAsync() => await Database.StringGetAsync(EarlierGateway.Schema);
}
