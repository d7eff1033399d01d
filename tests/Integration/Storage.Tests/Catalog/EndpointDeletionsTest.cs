using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Catalog;

/// <summary>
/// Which data of a deleted endpoint is deleted, and that the next endpoint with its id keeps its own data.
/// </summary>
public sealed class EndpointDeletionsTest : IClassFixture<RedisFixture>
{
    private readonly RedisFixture redis;
    private readonly CatalogStore catalog;
    private readonly JobStore jobs;
    private readonly EndpointDeletions deletions;

    public EndpointDeletionsTest(RedisFixture redis)
    {
        this.redis = redis;
        catalog = new CatalogStore(redis.Store);
        jobs = Jobs(redis.Store);
        deletions = Deletions(redis.Store);
    }

    [Fact]
    public async Task Each_phase_of_a_deletion_runs_once_and_never_affects_the_next_endpoint()
    {
        await SubmitAsync("e", "old");
        await deletions.ForgetAsync("e", "d1", ForgetPhase.First, default);
        await SubmitAsync("e", "late");
        // Another leader started this phase before.
        await deletions.ForgetAsync("e", "d1", ForgetPhase.First, default);
        Assert.Equal(["late"], await KnownAsync("e", "old", "late"));
        await deletions.ForgetAsync("e", "d1", ForgetPhase.Late, default);
        await SubmitAsync("e", "later");
        await deletions.ForgetAsync("e", "d1", ForgetPhase.Late, default);
        Assert.Equal(["later"], await KnownAsync("e", "old", "late", "later"));

        // Deleted again, and declared again before a leader noticed the deletion.
        await deletions.ForgetAsync("e", "d2", ForgetPhase.Declare, default);
        await SubmitAsync("e", "new");
        foreach (var phase in Enum.GetValues<ForgetPhase>()) await deletions.ForgetAsync("e", "d2", phase, default);
        Assert.Equal(["new"], await KnownAsync("e", "later", "new"));
        Assert.Equal(0, (await new JobQueries(redis.Store, jobs).CheckAsync("e", default)).Count);
    }

    [Fact]
    public async Task An_id_can_be_declared_again_only_after_its_old_jobs_are_deleted()
    {
        await catalog.PutAsync(new Template { Name = "t" }, default);
        var endpoint = new Endpoint { Id = "again", Template = "t" };
        await catalog.PutAsync(endpoint, default);
        await SubmitAsync("again", "old");
        Assert.Equal(CatalogRefusal.None, (await catalog.DeleteEndpointAsync("again", default)).Refusal);
        Assert.Equal(new CatalogChange(CatalogRefusal.Deleting, "again"), await catalog.PutAsync(endpoint, default));
        var manifest = new ManifestFile
        {
            Templates = [new Template { Name = "m" }],
            Endpoints = [endpoint with { Template = "m" }],
        };
        Assert.Equal(new CatalogChange(CatalogRefusal.Deleting, "again"),
            await catalog.ReplaceManifestAsync(manifest, default));

        await deletions.MakeFreeAsync("again", default);
        Assert.Equal(CatalogRefusal.None, (await catalog.PutAsync(endpoint, default)).Refusal);
        Assert.Empty(await KnownAsync("again", "old"));
        Assert.Equal(0, (await new JobQueries(redis.Store, jobs).CountAsync("again", default)).Queued);
        // A leader that noticed the deletion does not change the new endpoint.
        await SubmitAsync("again", "new");
        await deletions.MakeFreeAsync("again", default);
        Assert.Equal(["new"], await KnownAsync("again", "new"));
    }

    [Fact]
    public async Task Waiting_and_running_jobs_are_cancelled_and_counted()
    {
        foreach (var id in new[] { "a", "b", "c" }) await SubmitAsync("open", id);
        Assert.Equal(new CancelledJobs(3, 0), await deletions.OpenAsync("open", default));
        Assert.Equal(new CancelledJobs(3, 0), await deletions.CancelAsync("open", default));
        Assert.Equal(0, (await deletions.OpenAsync("open", default)).All);
    }

    internal static EndpointDeletions Deletions(RedisStore redis, TimeSpan? lateAfter = null) =>
        new(redis, new CatalogStore(redis), Jobs(redis), new JobQueries(redis, Jobs(redis)))
        {
            LateAfter = lateAfter ?? TimeSpan.FromSeconds(10),
        };

    private static JobStore Jobs(RedisStore redis) => new(redis, new PayloadStore(redis, "/nowhere"));

    private async Task SubmitAsync(string endpoint, string id) =>
        Assert.Equal(SubmitOutcome.Queued, (await jobs.SubmitAsync(JobStoreTest.Job(endpoint, id), default)).Outcome);

    private async Task<IEnumerable<string>> KnownAsync(string endpoint, params string[] ids)
    {
        var known = new List<string>();
        foreach (var id in ids)
            if (await jobs.LookAsync(endpoint, id, null, default) is not null) known.Add(id);
        return known;
    }
}
