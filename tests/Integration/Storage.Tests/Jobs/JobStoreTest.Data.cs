using System.Text;
using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>Where the data of a job is stored, and that all of it is deleted.</summary>
public sealed partial class JobStoreTest
{
    [Theory]
    [InlineData(10, 10)]
    [InlineData(1000, 1030)]
    [InlineData(1030, 1000)]
    [InlineData(PayloadStore.InlineBytes, PayloadStore.InlineBytes)]
    [InlineData(PayloadStore.InlineBytes + 1, 10)]
    [InlineData(10, PayloadStore.InlineBytes + 1)]
    public async Task Data_of_any_size_is_read_as_written_and_deleted_with_its_job(int inputBytes, int outputBytes)
    {
        var (input, output) = (Json(inputBytes), Json(outputBytes));
        // Each test has a separate folder, and Redis stores the id of one folder.
        await redis.Store.Database.KeyDeleteAsync("sluice:payloads");
        await SubmitAsync("a", j => j with
        {
            Input = input,
            S3 = "{\n \"bucketName\":\r\n1}"u8.ToArray(),
            Webhook = "https://example.org/",
            Watcher = "g1",
            Retention = TimeSpan.Zero,
        });
        await UpAsync(1);
        var claim = Assert.Single(await ClaimAsync());
        Assert.Equal(input, (await store.LoadAsync(claim.Input!, default)).ToArray());
        Assert.Equal("{  \"bucketName\":  1}", Encoding.UTF8.GetString(claim.S3!));
        var (read, s3, timeout) = (await store.InputAsync(endpoint, "a", default))!.Value;
        Assert.Equal((Encoding.UTF8.GetString(input), Encoding.UTF8.GetString(claim.S3!), TimeSpan.FromMinutes(1)),
            (Encoding.UTF8.GetString(read.Span), Encoding.UTF8.GetString(s3!), timeout));
        Assert.Equal(
            AppendOutcome.Appended,
            await streams.AppendAsync(endpoint, "a", 1, 0, 100, ["1"u8.ToArray()], default));
        Assert.Single((await streams.ReadAsync(endpoint, "a", null, "g1", default)).Chunks);
        Assert.Empty((await streams.ReadAsync(endpoint, "a", null, "g1", default)).Chunks);

        var stored = await new PayloadStore(redis.Store, folder).SaveAsync(output, default);
        Assert.True(await EndAsync(JobEnd.Completed("a", 1, stored.ToArray(), default)));
        Assert.Equal(output, (await store.LookAsync(endpoint, "a", null, default))!.Output!.Value.ToArray());
        Assert.Null((await store.LookAsync(endpoint, "a", null, default, withOutput: false))!.Output);
        await CheckAsync();

        Assert.Equal(1, (await Sweep.RunAsync(endpoint, default)).Swept);
        Assert.Null((await store.LookAsync(endpoint, "a", null, default))!.Output);
        Assert.Null(await store.InputAsync(endpoint, "a", default));
        await NothingStaysAsync("a");
        Assert.DoesNotContain(
            Directory.GetFiles(folder, "*", SearchOption.AllDirectories),
            f => Path.GetFileName(f) != "folder-id");

        static byte[] Json(int bytes) => Encoding.UTF8.GetBytes($"\n\"{new string('x', bytes - 3)}\"");
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=1|2", null, null)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "{\"bucketName\":\"\t|\"}", null)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", null, "/v1/completions")]
    [InlineData(null, "{\"bucketName\":\"\t|\"}", null)]
    public async Task The_trace_of_a_submission_is_in_each_claim_and_not_in_other_data(
        string? trace, string? s3, string? path)
    {
        await SubmitAsync("a", j => j with
        {
            Trace = trace,
            S3 = s3 is null ? null : Encoding.UTF8.GetBytes(s3),
            Path = path,
        });
        await UpAsync(1);
        foreach (var attempt in new[] { 1, 2 })
        {
            var claim = Assert.Single(await ClaimAsync(back: attempt - 1));
            Assert.Equal(trace, claim.Trace);
            Assert.Equal(s3 ?? path, claim.S3 is { } text ? Encoding.UTF8.GetString(text) : null);
            Assert.True(await store.RequeueAsync(endpoint, "a", attempt, AttemptLoss.Counted, "lost", default));
            await CheckAsync();
        }

        var read = (await store.InputAsync(endpoint, "a", default))!.Value.S3;
        Assert.Equal(s3 ?? path, read is null ? null : Encoding.UTF8.GetString(read));
        Assert.Equal(trace, await store.TraceAsync(endpoint, "a", default));
        Assert.Null(await store.TraceAsync(endpoint, "b", default));
    }

    [Fact]
    public async Task The_size_of_an_input_is_known_before_its_file_is_loaded()
    {
        await redis.Store.Database.KeyDeleteAsync("sluice:payloads");
        await SubmitAsync("small", j => j with { Input = Text(70) });
        await SubmitAsync("large", j => j with { Input = Text(PayloadStore.InlineBytes + 1) });
        var sizes = new List<long>();
        await store.InputAsync(endpoint, "small", default, Note);
        await store.InputAsync(endpoint, "large", default, Note);
        Assert.Null(await store.InputAsync(endpoint, "none", default, Note));
        Assert.Equal([70, PayloadStore.InlineBytes + 1], sizes);

        // A caller that is delayed until the file is gone does not get what was read before.
        var lost = await Assert.ThrowsAsync<PayloadException>(() => store.InputAsync(endpoint, "large", default, _ =>
        {
            foreach (var file in Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
                .Where(f => new FileInfo(f).Length > PayloadStore.InlineBytes)) File.Delete(file);
            return Task.CompletedTask;
        }));
        Assert.Equal(PayloadFault.Lost, lost.Fault);

        static byte[] Text(int bytes) => Encoding.UTF8.GetBytes($"\"{new string('x', bytes - 2)}\"");

        Task Note(long bytes)
        {
            sizes.Add(bytes);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_retried_job_is_deleted_according_to_its_last_end()
    {
        await SubmitAsync("a", j => j with { Retention = TimeSpan.Zero });
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(await EndAsync(JobEnd.Failed("a", 1, JobStatus.Failed, new JobError("WRONG", "", true))));
        Assert.Equal(("ok", JobStatus.Queued), await store.RetryAsync(endpoint, "a", default));
        await CheckAsync();
        Assert.Equal(2, Assert.Single(await ClaimAsync(back: 1)).Attempt);
        // Its first end is due, but a dead letter is kept for a week; and the job has a different end after the retry.
        Assert.True(
            await EndAsync(JobEnd.Failed("a", 2, JobStatus.Failed, new JobError(JobErrors.Exhausted, "", true))));
        Assert.Equal(0, (await Sweep.RunAsync(endpoint, default)).Swept);
        Assert.Single((await queries.DeadAsync(endpoint, null, 0, 5, default)).Jobs);
        await CheckAsync();
        Assert.Equal(("ok", JobStatus.Queued), await store.RetryAsync(endpoint, "a", default));
        Assert.Equal(3, Assert.Single(await ClaimAsync(back: 1)).Attempt);
        Assert.Equal(0, (await Sweep.RunAsync(endpoint, default)).Swept);
        Assert.True(await EndAsync(JobEnd.Completed("a", 3, "1"u8.ToArray(), default)));
        await CheckAsync();
        Assert.Equal(1, (await Sweep.RunAsync(endpoint, default)).Swept);
        Assert.Equal(
            (true, JobStatus.Completed, 3),
            (await store.LookAsync(endpoint, "a", null, default)) is { } j
                ? (j.Expired, j.Status, j.Attempt)
                : default);
        await NothingStaysAsync("a");
    }

    [Fact]
    public async Task A_sweep_says_when_the_next_data_is_due()
    {
        Assert.Equal(new SweepAnswer(0, null), await Sweep.RunAsync(endpoint, default));
        await UpAsync(2);
        await EndOneAsync("late", TimeSpan.FromHours(2));
        Assert.InRange(
            (await Sweep.RunAsync(endpoint, default)).NextIn!.Value, TimeSpan.FromHours(1), TimeSpan.FromHours(2));
        await EndOneAsync("soon", TimeSpan.FromMinutes(30));
        Assert.InRange(
            (await Sweep.RunAsync(endpoint, default)).NextIn!.Value, TimeSpan.Zero, TimeSpan.FromMinutes(30));
        await store.ExpireAsync(
            endpoint, [(await store.LookAsync(endpoint, "soon", null, default))!], default);
        var swept = await Sweep.RunAsync(endpoint, default);
        Assert.Equal(1, swept.Swept);
        Assert.InRange(swept.NextIn!.Value, TimeSpan.FromHours(1), TimeSpan.FromHours(2));

        async Task EndOneAsync(string id, TimeSpan retention)
        {
            await SubmitAsync(id, j => j with { Retention = retention });
            await ClaimAsync();
            Assert.True(await EndAsync(JobEnd.Completed(id, 1, "1"u8.ToArray(), default)));
        }
    }

    [Fact]
    public async Task An_Idempotency_Key_is_valid_only_as_long_as_its_job_is_known()
    {
        JobSubmission Keyed(JobSubmission j) =>
            j with { IdempotencyKey = "k", Digest = "d", Retention = TimeSpan.Zero };
        await SubmitAsync("a", Keyed);
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        Assert.Equal(1, (await Sweep.RunAsync(endpoint, default)).Swept);
        // Its data was deleted, its record is kept.
        Assert.Equal(
            (SubmitOutcome.Same, "a"),
            (await TrySubmitAsync("b", Keyed)) is var same ? (same.Outcome, same.Id) : default);
        await ForgetAsync();
        await SubmitAsync("b", Keyed);
        Assert.Equal(
            (SubmitOutcome.Conflict, "b"),
            (await TrySubmitAsync("c", j => Keyed(j) with { Digest = "e" })) is var other
                ? (other.Outcome, other.Id)
                : default);
        await CheckAsync();
    }

    [Fact]
    public async Task Jobs_of_one_call_with_the_same_Idempotency_Key_are_one_job()
    {
        JobSubmission Keyed(JobSubmission j) => j with { IdempotencyKey = "k", Digest = "d" };
        // The first submission takes the connection, so that the others share a call.
        var first = TrySubmitAsync("other", j => j);
        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(n => TrySubmitAsync($"same-{n}", Keyed)));
        await first;
        var stored = Assert.Single(results, r => r.Outcome == SubmitOutcome.Queued);
        Assert.All(results, r => Assert.True(r == stored || r is { Outcome: SubmitOutcome.Same }));
        Assert.Single(results.Where(r => r != stored).Select(r => r.Id).Distinct());
        await CheckAsync();
    }

    [Fact]
    public async Task A_second_end_without_another_attempt_gets_a_delivery_with_a_different_name()
    {
        var (k, db) = (new JobKeys(endpoint), redis.Store.Database);
        await SubmitAsync("a", j => j with { Webhook = "https://example.org/" });
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(await EndAsync(JobEnd.Failed("a", 1, JobStatus.Failed, new JobError("X", "x", false))));
        Assert.Equal(["msg_a_1"], (await db.SortedSetRangeByRankAsync(k.Outbox)).Select(d => (string)d!));
        // The delivery was made.
        await db.KeyDeleteAsync(k.Outbox);
        Assert.Equal(("ok", JobStatus.Queued), await store.RetryAsync(endpoint, "a", default));
        Assert.Equal(
            1,
            await store.EndQueuedAsync(endpoint, ["a"], JobStatus.TimedOut, new JobError("Y", "y", false), default));
        var second = (string)Assert.Single(await db.SortedSetRangeByRankAsync(k.Outbox))!;
        Assert.StartsWith("msg_a_1_", second, StringComparison.Ordinal);
        Assert.Equal(JobStatus.Failed, (string?)await db.HashGetAsync(k.Hook("msg_a_1"), "status"));
        Assert.Equal(JobStatus.TimedOut, (string?)await db.HashGetAsync(k.Hook(second), "status"));
        // Retried before the delivery: the delivery then reports the later end.
        Assert.Equal(("ok", JobStatus.Queued), await store.RetryAsync(endpoint, "a", default));
        Assert.False(await db.KeyExistsAsync(k.Outbox));
    }

    [Fact]
    public async Task Watchers_of_a_job_are_stored_with_the_queued_and_with_the_running_job()
    {
        var db = redis.Store.Database;
        await SubmitAsync("a", j => j with { Watcher = "g1" });
        await store.LookAsync(endpoint, "a", "g2", default);
        await store.LookAsync(endpoint, "a", "g2", default);
        Assert.Equal("g1,g2", await db.HashGetAsync(keys.Watchers, "a"));
        await UpAsync(1);
        await ClaimAsync();
        await store.LookAsync(endpoint, "a", "g3", default);
        Assert.False(await db.KeyExistsAsync(keys.Watchers));
        Assert.EndsWith("|g1,g2,g3", await db.HashGetAsync(keys.Running, "a"), StringComparison.Ordinal);
        await CheckAsync();
        Assert.True(await store.RequeueAsync(endpoint, "a", 1, AttemptLoss.Counted, "lost", default));
        Assert.Equal("g1,g2,g3", await db.HashGetAsync(keys.Watchers, "a"));
        await CheckAsync();
        var message = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await redis.Store.SubscribeAsync(DispatchChannels.Jobs("g3"), text => message.TrySetResult(text), default);
        Assert.True((await store.CancelAsync(endpoint, "a", default)).Ended);
        Assert.Equal($"changed|{endpoint}|a", await message.Task);
        Assert.False(await db.KeyExistsAsync(keys.Watchers));
        await CheckAsync();
    }

    [Fact]
    public async Task The_checker_finds_data_that_would_never_be_deleted()
    {
        var (k, db) = (new JobKeys(endpoint), redis.Store.Database);
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        await CheckAsync();
        await db.KeyDeleteAsync(k.Expiry);
        foreach (var few in new[] { keys.Retries, keys.Watchers, k.Streams })
            await db.HashSetAsync(few, "ghost", "1|1");
        await db.HashSetAsync(keys.Blobs, "ghost|in", "1");
        await db.HashSetAsync(keys.Jobs, "ghost", "1|0|1|1|1|1|f\n1|1|1\n\n\n1");
        var violations = (await queries.CheckAsync(endpoint, default)).Violations;
        Assert.Equal(
            [
                "ended, but its data never goes: a", "jobs: 2 stored, 1 listed, 1 known",
                "watchers knows a job that does not wait: ghost"
            ],
            violations.Order());
        await db.HashDeleteAsync(keys.Jobs, "ghost");
        violations = (await queries.CheckAsync(endpoint, default)).Violations;
        Assert.Equal(
            [
                "blobs knows a job that is gone: ghost", "retries knows a job that is gone: ghost",
                "streams knows a job that is gone: ghost",
            ],
            violations.Where(v => v.EndsWith("gone: ghost", StringComparison.Ordinal)).Order());
    }

    [Fact]
    public async Task No_text_of_a_worker_is_kept_for_an_expired_job()
    {
        await SubmitAsync("a", j => j with { Retention = TimeSpan.Zero });
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(
            await store.RequeueAsync(endpoint, "a", 1, AttemptLoss.Counted, "the handler failed: secret", default));
        await ClaimAsync(back: 1);
        Assert.True(await EndAsync(JobEnd.Failed("a", 2, JobStatus.Failed, new JobError("WRONG", "secret", true))));
        Assert.Equal(
            "the handler failed: secret",
            Assert.Single((await store.LookAsync(endpoint, "a", null, default))!.Lost).Why);
        Assert.Equal(1, (await Sweep.RunAsync(endpoint, default)).Swept);
        var left = (await store.LookAsync(endpoint, "a", null, default))!;
        Assert.Equal(
            (true, 2, 2, "WRONG", "", 0),
            (left.Expired, left.Attempt, left.Runs, left.Error!.Code, left.Error.Message, left.Lost.Count));
        Assert.True(left.Queued >= left.Submitted);
        await NothingStaysAsync("a");
    }

    [Fact]
    public async Task A_deleted_job_that_ends_later_leaves_no_data()
    {
        await SubmitAsync("a", j => j with { Retention = TimeSpan.Zero });
        await UpAsync(1);
        await ClaimAsync();
        await ForgetAsync();
        Assert.False(await EndAsync(JobEnd.Completed("a", 1, Encoding.UTF8.GetBytes(new string('1', 2000)), default)));
        Assert.Equal(0, (await Sweep.RunAsync(endpoint, default)).Swept);
        await NothingStaysAsync("a");
    }

    [Theory]
    [InlineData("x", null)]
    [InlineData("x\ny", null)]
    [InlineData(null, "COMPLETED|1\n")]
    public async Task Corrupted_data_is_deleted_and_does_not_prevent_other_deletions(string? asked, string? result)
    {
        var db = redis.Store.Database;
        foreach (var id in new[] { "a", "b", "c" }) await SubmitAsync(id, j => j with { Retention = TimeSpan.Zero });
        await UpAsync(3);
        await ClaimAsync();
        foreach (var id in new[] { "b", "c" })
            Assert.True(await EndAsync(JobEnd.Completed(id, 1, "1"u8.ToArray(), default)));
        var ended = ((string)(await db.HashGetAsync(keys.Results, "b"))!).Split('\n')[1].Split('|')[0];
        if (asked is not null) await db.HashSetAsync(keys.Jobs, "b", asked);
        if (result is not null) await db.HashSetAsync(keys.Results, "b", result + ended + "|");
        await db.SortedSetAddAsync(new JobKeys(endpoint).Expiry, "no group", 1);

        Assert.Equal(2, (await Sweep.RunAsync(endpoint, default)).Swept);
        Assert.Null(await store.LookAsync(endpoint, "b", null, default));
        Assert.True((await store.LookAsync(endpoint, "c", null, default))!.Expired);
        Assert.True(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        Assert.Equal(1, (await Sweep.RunAsync(endpoint, default)).Swept);
        await NothingStaysAsync("a");
    }

    private JobRetention Sweep => new(redis.Store, store, new PayloadStore(redis.Store, folder));

    private async Task NothingStaysAsync(string id)
    {
        var k = new JobKeys(endpoint);
        foreach (var key in new[]
        {
            keys.Jobs, keys.Retries, keys.Watchers, keys.Results, keys.Blobs, keys.Running, k.Streams, k.Chunks(id),
            k.Index, k.Late, k.Dead
        })
            Assert.False(await redis.Store.Database.KeyExistsAsync(key), key);
        await CheckAsync();
    }
}
