using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>The bytes that the jobs of an endpoint occupy in Redis are counted exactly, and bounded.</summary>
public sealed class JobBytesTest : IClassFixture<RedisFixture>, IDisposable
{
    private static int endpoints;

    private readonly string endpoint = $"bytes{Interlocked.Increment(ref endpoints)}";
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly IDatabase db;
    private readonly DispatchScripts dispatch;
    private readonly PayloadStore payloads;
    private readonly JobStore store;
    private readonly JobStreams streams;
    private readonly JobQueries queries;
    private readonly JobRetention sweep;
    private readonly JobKeys keys;
    private readonly RedisFixture redis;

    public JobBytesTest(RedisFixture redis)
    {
        this.redis = redis;
        db = redis.Store.Database;
        // Each test has a separate folder.
        db.KeyDelete("sluice:payloads");
        dispatch = new DispatchScripts(redis.Store);
        payloads = new PayloadStore(redis.Store, folder);
        store = new JobStore(redis.Store, payloads);
        streams = new JobStreams(redis.Store);
        queries = new JobQueries(redis.Store, store);
        sweep = new JobRetention(redis.Store, store, payloads);
        keys = new JobKeys(endpoint);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(10, 10)]
    [InlineData(10, 600)]
    [InlineData(2000, 10)]
    [InlineData(200_000, 200_000)]
    [InlineData(300_000, 300_000)]
    public async Task Every_step_of_a_job_counts_the_bytes_that_the_checker_finds_and_leaves_none(
        int inputBytes,
        int outputBytes)
    {
        JobSubmission Change(JobSubmission j) =>
            j with
            {
                Input = Json(inputBytes), S3 = "{}"u8.ToArray(), Webhook = "https://example.org/",
                Retention = TimeSpan.Zero
            };
        foreach (var id in new[] { "done", "failed" }) await SubmitAsync(id, Change);
        await SubmitAsync("other", j => Change(j) with { Flow = "g" });
        await CheckAsync();
        var claims = await ClaimAsync(3);
        await SubmitAsync("waits", Change);
        Assert.Equal(
            AppendOutcome.Appended,
            await streams.AppendAsync(
                endpoint,
                "done",
                claims["done"].Fence,
                0,
                1000,
                [Json(100), Json(700)],
                default));
        await CheckAsync();
        await EndAsync(JobEnd.Completed(
            "done",
            claims["done"].Fence,
            (await payloads.SaveAsync(Json(outputBytes), default)).ToArray(),
            default));
        await EndAsync(JobEnd.Failed(
            "failed",
            claims["failed"].Fence,
            JobStatus.Failed,
            new JobError("WRONG", new string('x', outputBytes), true)));
        await CheckAsync();
        Assert.Equal(("ok", JobStatus.Queued), await store.RetryAsync(endpoint, "failed", default));
        await CheckAsync();
        Assert.Equal(inputBytes, (await store.InputAsync(endpoint, "failed", default))!.Value.Input.Length);
        foreach (var id in new[] { "waits", "other", "failed" })
            Assert.True((await store.CancelAsync(endpoint, id, default)).Ended);
        await CheckAsync();
        Assert.Equal(outputBytes, (await store.LookAsync(endpoint, "done", null, default))!.Output!.Value.Length);

        while ((await sweep.RunAsync(endpoint, default)).Swept > 0)
        {
            // Repeat until all data is deleted.
        }

        await CheckAsync();
        Assert.False(await db.KeyExistsAsync(keys.Bytes));
        Assert.False(await db.KeyExistsAsync(keys.Dispatch.Blobs));
    }

    [Fact]
    public async Task The_bytes_of_deleted_jobs_are_subtracted_while_other_jobs_remain()
    {
        await SubmitAsync("deleted", j => j with { Input = Json(5000), Retention = TimeSpan.Zero });
        await SubmitAsync("remains", j => j with { Input = Json(3000) });
        Assert.True((await store.CancelAsync(endpoint, "deleted", default)).Ended);
        while ((await sweep.RunAsync(endpoint, default)).Swept > 0)
        {
            // Repeat until all data is deleted.
        }

        Assert.Null(await store.InputAsync(endpoint, "deleted", default));
        Assert.InRange(await HeldAsync(), 3000, 4999);
        await CheckAsync();
    }

    [Fact]
    public async Task A_deleted_endpoint_has_no_byte_count()
    {
        await SubmitAsync("a", j => j with { Input = Json(5000) });
        await SubmitAsync("b", j => j with { Flow = "g" });
        await ClaimAsync(1);
        await new EndpointDeletions(
            redis.Store,
            new CatalogStore(redis.Store),
            store,
            queries).ForgetAsync(endpoint, Fence.NewToken(), ForgetPhase.First, default);
        Assert.False(await db.KeyExistsAsync(keys.Bytes));
        Assert.False(await db.KeyExistsAsync(keys.Dispatch.Blobs));
    }

    [Fact]
    public async Task The_end_of_a_job_deletes_its_large_input_only_if_it_cannot_be_retried()
    {
        foreach (var id in new[] { "done", "failed", "cancelled" })
            await SubmitAsync(id, j => j with { Input = Json(100_000), Webhook = "https://example.org/" });
        var all = await HeldAsync();
        var claims = await ClaimAsync(3);
        await EndAsync(
            JobEnd.Failed("failed", claims["failed"].Fence, JobStatus.Failed, new JobError("WRONG", "", true)));
        Assert.Equal(all, await HeldAsync());
        await EndAsync(JobEnd.Completed("done", claims["done"].Fence, "1"u8.ToArray(), default));
        Assert.True((await store.CancelAsync(endpoint, "cancelled", default)).Ended);
        Assert.Equal(all - 200_000, await HeldAsync());
        Assert.Null(await store.InputAsync(endpoint, "done", default));
        await CheckAsync();
    }

    [Fact]
    public async Task A_job_beyond_the_byte_limit_of_the_endpoint_or_key_is_rejected_until_another_ends()
    {
        JobSubmission Limited(JobSubmission j) =>
            j with { Input = Json(100_000), MaxBytes = 350_000, FlowMaxBytes = 250_000 };
        await SubmitAsync("a", Limited);
        await SubmitAsync("b", Limited);
        var own = await HeldAsync();
        Assert.Equal((SubmitOutcome.FlowBytesFull, own), await TryAsync("c", Limited));
        await SubmitAsync("d", j => Limited(j) with { Flow = "g" });
        Assert.Equal(
            (SubmitOutcome.BytesFull, await HeldAsync()),
            await TryAsync("e", j => Limited(j) with { Flow = "h" }));
        var limits = new JobLimits(1000, 0, await HeldAsync(), 250_000);
        Assert.Equal(
            SubmitOutcome.BytesFull,
            (await store.WhyFullAsync(endpoint, "h", limits, default))!.Value.Outcome);
        Assert.Null(await store.WhyFullAsync(endpoint, "h", limits with { Bytes = limits.Bytes + 1 }, default));
        Assert.Equal(
            SubmitOutcome.FlowBytesFull,
            (await store.WhyFullAsync(
                endpoint,
                "f",
                limits with { Bytes = 0, FlowBytes = own },
                default))!.Value.Outcome);
        await CheckAsync();

        Assert.True((await store.CancelAsync(endpoint, "a", default)).Ended);
        await SubmitAsync("c", Limited);
        // One call with many jobs: later jobs in the call see the bytes of earlier ones.
        // The first job is in a call of its own, so the limit has room for one of the others too.
        foreach (var id in new[] { "c", "d" }) Assert.True((await store.CancelAsync(endpoint, id, default)).Ended);
        var together = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => TryAsync($"m{i}", j => Limited(j) with { Flow = $"m{i}" })));
        Assert.Equal(2, together.Count(r => r.Outcome == SubmitOutcome.Queued));
        await CheckAsync();
    }

    [Fact]
    public async Task A_stream_beyond_the_byte_limit_of_its_endpoint_or_key_is_not_stored()
    {
        await SubmitAsync("a");
        var claim = (await ClaimAsync(1))["a"];
        var held = await HeldAsync();
        Task<AppendOutcome> AppendAsync(int first, StreamCapacity room) =>
            streams.AppendAsync(endpoint, "a", claim.Fence, first, 1 << 20, [Json(1000)], default, room);
        Assert.Equal(AppendOutcome.NoRoom, await AppendAsync(0, new StreamCapacity(held + 999, 0)));
        Assert.Equal(AppendOutcome.NoRoom, await AppendAsync(0, new StreamCapacity(0, held + 999)));
        Assert.Equal(AppendOutcome.Appended, await AppendAsync(0, new StreamCapacity(held + 1000, held + 1000)));
        // Repeating the same chunk, as after a lost answer, needs no more bytes.
        Assert.Equal(AppendOutcome.Appended, await AppendAsync(0, new StreamCapacity(held, held)));
        await CheckAsync();
        Assert.Equal(new StreamCapacity(2L << 30, 1L << 30), StreamCapacity.ForPolicy(new JobPolicy()));
    }

    [Fact]
    public async Task Above_half_of_its_byte_limit_an_endpoint_stores_outputs_in_files()
    {
        await SubmitAsync("a");
        var held = await HeldAsync();
        Assert.Equal(1000, (await store.SaveOutputAsync(endpoint, Json(1000), 2 * (held + 1000), default)).Length);
        var reference = await store.SaveOutputAsync(endpoint, Json(1000), 2 * (held + 999), default);
        Assert.Equal((33, 1000), (reference.Length, (await payloads.LoadAsync(reference.ToArray(), default)).Length));
        // The byte count of the job includes a short output.
        Assert.Equal(512, (await store.SaveOutputAsync(endpoint, Json(512), 1, default)).Length);
    }

    [Theory]
    [InlineData("f", 1)]
    [InlineData("|all", -1)]
    [InlineData("unknown", 5)]
    public async Task The_checker_finds_a_wrong_byte_count(string field, int by)
    {
        await SubmitAsync("a");
        await CheckAsync();
        await db.HashIncrementAsync(keys.Bytes, field, by);
        Assert.Contains(
            $"flow {field} counts",
            Assert.Single((await queries.CheckAsync(endpoint, default)).Violations),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_checker_finds_a_waiting_job_without_its_input()
    {
        await SubmitAsync("a", j => j with { Input = Json(5000) });
        await db.HashDeleteAsync(keys.Dispatch.Blobs, "a|in");
        Assert.Contains(
            (await queries.CheckAsync(endpoint, default)).Violations,
            v => v == "open without its input: a");
    }

    private static byte[] Json(int bytes) => Encoding.UTF8.GetBytes($"\"{new string('x', bytes - 2)}\"");

    private async Task SubmitAsync(string id, Func<JobSubmission, JobSubmission>? change = null) =>
        Assert.Equal(SubmitOutcome.Queued, (await TryAsync(id, change ?? (j => j))).Outcome);

    private async Task<(SubmitOutcome Outcome, long Held)> TryAsync(
        string id,
        Func<JobSubmission, JobSubmission> change)
    {
        var result = await store.SubmitAsync(change(JobStoreTest.Job(endpoint, id)), default);
        return (result.Outcome, result.Held);
    }

    private async Task<long> HeldAsync() => (long)await db.HashGetAsync(keys.Bytes, JobKeys.AllJobs);

    private async Task<Dictionary<string, JobClaim>> ClaimAsync(int slots)
    {
        await dispatch.WorkerUpAsync(keys.Dispatch, "p", "{}", slots);
        await dispatch.AcquireAsync(keys.Dispatch, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        return (await dispatch.ReleaseAsync(keys, endpoint, "g~0", [], [], claims: true))
            .Claimed.ToDictionary(c => c.Id);
    }

    private async Task EndAsync(JobEnd end) =>
        Assert.True(
            Assert.Single((await dispatch.ReleaseAsync(keys, endpoint, "", [], [end], claims: false)).Ended).Ended);

    private async Task CheckAsync()
    {
        var report = await queries.CheckAsync(endpoint, default);
        Assert.True(report.Count == 0, string.Join('\n', report.Violations));
    }
}
