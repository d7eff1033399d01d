using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>Queries and operations on many jobs read them in parts that can be paced.</summary>
public sealed class JobWorkTest : IClassFixture<RedisFixture>, IDisposable
{
    private static int endpoints;

    private readonly string endpoint = $"work{Interlocked.Increment(ref endpoints)}";
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly JobStore store;
    private readonly JobQueries queries;
    private readonly RedisFixture redis;

    public JobWorkTest(RedisFixture redis)
    {
        this.redis = redis;
        store = new JobStore(redis.Store, new PayloadStore(redis.Store, folder));
        queries = new JobQueries(redis.Store, store);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_purge_reads_the_queue_in_parts_and_cancels_exactly_the_jobs_of_its_key()
    {
        const int each = 1200;
        await SubmitAsync(2 * each, i => i % 2 == 0 ? "f" : "g");
        var (tickets, ends) = (new List<int>(), 0);
        Assert.Equal(each, await store.PurgeAsync(endpoint, "f", default, (t, e) =>
        {
            if (t > 0) tickets.Add(t);
            ends += e;
            return Task.CompletedTask;
        }));
        Assert.Equal((each, 3), (ends, tickets.Count));
        Assert.All(tickets, t => Assert.Equal(1000, t));
        Assert.Equal(each, (await queries.CountAsync(endpoint, default)).Queued);
        // A second purge sees from the job count of the key that there is nothing to read.
        Assert.Equal(
            0,
            await store.PurgeAsync(
                endpoint,
                "f",
                default,
                (_, _) => throw new InvalidOperationException("it read the queue")));
        Assert.Equal(each, await store.PurgeAsync(endpoint, null, default));
        Assert.Equal(0, (await queries.CheckAsync(endpoint, default)).Count);
    }

    [Fact]
    public async Task A_purge_cancels_all_queued_jobs_although_the_queue_changes_between_its_parts()
    {
        await SubmitAsync(2500, i => i < 1300 ? "f" : "g");
        var k = new DispatchKeys(endpoint);
        var moved = false;
        Assert.Equal(1300, await store.PurgeAsync(endpoint, "f", default, async (_, _) =>
        {
            if (moved) return;
            moved = true;
            // Jobs of the other key end, at positions that were already read.
            await store.PurgeAsync(endpoint, "g", default);
        }));
        Assert.Equal(0, (await queries.CountAsync(endpoint, default)).Queued);
        Assert.Equal(0, await redis.Store.Database.SortedSetLengthAsync(k.Queue));
    }

    [Fact]
    public async Task A_list_reads_about_as_many_jobs_as_it_returns_and_stops_after_two_thousand()
    {
        await SubmitAsync(2300, _ => "f");
        var read = 0;
        Task Count(int jobs)
        {
            read += jobs;
            return Task.CompletedTask;
        }

        Assert.Equal(10, (await queries.ListAsync(endpoint, "f", null, 0, 10, default, Count)).Jobs.Count);
        Assert.Equal(11, read);
        read = 0;
        var page = await queries.ListAsync(endpoint, "f", JobStatus.Failed, 0, 1000, default, Count);
        Assert.Equal((0, true), (page.Jobs.Count, page.Next is not null));
        Assert.Equal((2000, 2000), (read, page.Next));
    }

    [Fact]
    public async Task Dead_letters_of_one_key_or_of_all_keys_are_removed_in_parts()
    {
        await SubmitAsync(450, i => i % 3 == 0 ? "g" : "f");
        var db = redis.Store.Database;
        for (var i = 0; i < 450; i++) await db.SortedSetAddAsync(new JobKeys(endpoint).Dead, $"j{i}", i);
        var parts = new List<int>();
        Assert.Equal(150, await queries.PurgeDeadAsync(endpoint, "g", default, n =>
        {
            parts.Add(n);
            return Task.CompletedTask;
        }));
        Assert.Equal(3, parts.Count);
        Assert.All(parts, n => Assert.InRange(n, 0, 200));
        Assert.Equal(300, await queries.PurgeDeadAsync(endpoint, null, default));
        Assert.False(await db.KeyExistsAsync(new JobKeys(endpoint).Dead));
    }

    private async Task SubmitAsync(int count, Func<int, string> flow)
    {
        var all = await Task.WhenAll(Enumerable.Range(0, count).Select(i =>
            store.SubmitAsync(
                JobStoreTest.Job(endpoint, $"j{i}") with { Flow = flow(i), MaxQueued = 10_000 },
                default)));
        Assert.All(all, r => Assert.Equal(SubmitOutcome.Queued, r.Outcome));
    }
}
