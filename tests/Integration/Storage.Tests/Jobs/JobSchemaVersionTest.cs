using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>The check of the jobs in a real Redis when a gateway starts.</summary>
public sealed class JobSchemaVersionTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly string endpoint = "e" + Guid.NewGuid().ToString("N");

    [Theory]
    [InlineData("asked", RedisType.Hash)]
    [InlineData("jobs", RedisType.List)]
    [InlineData("jobs", RedisType.SortedSet)]
    public async Task Jobs_of_the_first_schema_are_rejected_by_name(string key, RedisType type)
    {
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        await jobs.SubmitAsync(JobStoreTest.Job(endpoint, "a"), default);
        await JobSchemaVersion.CheckAsync(redis.Store, [endpoint, "another"]);
        var (db, earlier) = (redis.Store.Database, DispatchKeys.Key("earlier-" + endpoint, key));
        if (type == RedisType.Hash) await db.HashSetAsync(earlier, "a", "1|0|1|1|1|1|f\n1|1|1\n\n\n1");
        else if (type == RedisType.List) await db.ListRightPushAsync(earlier, "a");
        else await db.SortedSetAddAsync(earlier, "a", 1);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => JobSchemaVersion.CheckAsync(redis.Store, [endpoint, "earlier-" + endpoint]));
        Assert.Contains($"'earlier-{endpoint}' in schema 1; expected schema 2", e.Message, StringComparison.Ordinal);
        Assert.Contains("SLUICE_DATA", e.Message, StringComparison.Ordinal);
    }
}
