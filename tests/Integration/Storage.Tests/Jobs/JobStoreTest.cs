using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>The job scripts on a real Redis, without a gateway: the tests claim jobs directly.</summary>
public sealed partial class JobStoreTest : IClassFixture<RedisFixture>, IDisposable
{
    private static int endpoints;

    private readonly string endpoint = $"j{Interlocked.Increment(ref endpoints)}";
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly RedisFixture redis;
    private readonly DispatchScripts dispatch;
    private readonly JobStore store;
    private readonly JobStreams streams;
    private readonly JobQueries queries;
    private readonly DispatchKeys keys;

    public JobStoreTest(RedisFixture redis)
    {
        this.redis = redis;
        dispatch = new DispatchScripts(redis.Store);
        store = new JobStore(redis.Store, new PayloadStore(redis.Store, folder));
        streams = new JobStreams(redis.Store);
        queries = new JobQueries(redis.Store, store);
        keys = new DispatchKeys(endpoint);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Only_the_current_attempt_may_write()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        var first = Assert.Single(await ClaimAsync());
        Assert.Equal(("a", 1), (first.Id, first.Attempt));
        Assert.True(await store.RequeueAsync(endpoint, "a", 1, AttemptLoss.Counted, "lost", default));
        await CheckAsync();
        var second = Assert.Single(await ClaimAsync(back: 1));
        Assert.Equal(2, second.Attempt);

        Assert.False(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        Assert.False(await store.RequeueAsync(endpoint, "a", 1, AttemptLoss.Counted, "again", default));
        Assert.Equal(
            AppendOutcome.Stale,
            await streams.AppendAsync(endpoint, "a", 1, 0, 100, ["1"u8.ToArray()], default));
        Assert.True(await EndAsync(JobEnd.Completed("a", 2, "2"u8.ToArray(), new RunTrace(default, null, "cpu"))));
        // A repeated end of the same attempt is the same end and changes nothing. Another attempt, or another end, is
        // rejected.
        Assert.True(await EndAsync(JobEnd.Completed("a", 2, "3"u8.ToArray(), default)));
        Assert.False(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        Assert.False(await EndAsync(JobEnd.Failed("a", 2, JobStatus.Failed, new JobError("X", "x", false))));
        var cancel = await store.CancelAsync(endpoint, "a", default);
        Assert.Equal((false, "COMPLETED"), (cancel.Ended, cancel.Status));
        var job = (await store.LookAsync(endpoint, "a", null, default))!;
        Assert.Equal("2", System.Text.Encoding.UTF8.GetString(job.Output!.Value.Span));
        Assert.Equal("lost", Assert.Single(job.Lost).Why);
        await CheckAsync();
    }

    [Fact]
    public async Task A_cancelled_job_is_never_claimed()
    {
        await SubmitAsync("a");
        await SubmitAsync("b");
        Assert.True((await store.CancelAsync(endpoint, "a", default)).Ended);
        await UpAsync(2);
        Assert.Equal("b", Assert.Single(await ClaimAsync()).Id);
        await CheckAsync();
    }

    [Fact]
    public async Task A_job_without_attempts_left_or_past_its_deadline_is_claimed_only_to_end_it()
    {
        await SubmitAsync("a", j => j with { MaxRuns = 1 });
        await UpAsync(1);
        await ClaimAsync();
        await store.RequeueAsync(endpoint, "a", 1, AttemptLoss.Counted, "lost", default);
        var exhausted = Assert.Single(await ClaimAsync(back: 1));
        Assert.Equal(("exhausted", ""), (exhausted.Why, exhausted.Pod));
        await EndAsync(JobEnd.Failed("a", 2, JobStatus.Failed, new JobError(JobErrors.Exhausted, "x", false)));
        Assert.Equal("a", Assert.Single((await queries.DeadAsync(endpoint, null, 0, 10, default)).Jobs).Id);

        await SubmitAsync("b", j => j with { Ttl = TimeSpan.Zero });
        Assert.Equal("expired", Assert.Single(await ClaimAsync()).Why);
        await CheckAsync();
    }

    [Fact]
    public async Task A_claim_with_a_lost_answer_is_part_of_the_next_renewal_and_its_slot_stays_booked()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync();
        var answer = await dispatch.RenewAsync(
            keys,
            new RenewReport("g~0", TimeSpan.FromMinutes(1), 0, 0, [], [], [], []));
        var orphan = Assert.Single(answer.Orphans);
        Assert.Equal(("a", 1, "p"), (orphan.Id, orphan.Attempt, orphan.Pod));
        await CheckAsync();
        Assert.Empty((await dispatch.RenewAsync(
            keys,
            new RenewReport("g~0", TimeSpan.FromMinutes(1), 0, 0, [new("p", 1)], [], ["a|1"], []))).Orphans);
    }

    [Fact]
    public async Task A_job_of_a_gateway_without_a_lease_is_queued_again_at_the_head()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync(lease: TimeSpan.Zero);
        await SubmitAsync("b");
        var reaped = await dispatch.ReapAsync(keys, TimeSpan.FromHours(1), TimeSpan.Zero);
        Assert.Equal(1, reaped.JobsQueuedAgain);
        await CheckAsync();
        Assert.Equal(("a", 2), (await ClaimAsync(holder: "h~0")) is [var c] ? (c.Id, c.Attempt) : default);
    }

    [Fact]
    public async Task After_a_gap_between_two_reaps_leases_get_time_to_be_renewed()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync(lease: TimeSpan.Zero);
        await redis.Store.Database.HashSetAsync(keys.Meta, "reaped", 1);
        Assert.False((await dispatch.ReapAsync(keys, TimeSpan.FromHours(1), TimeSpan.FromSeconds(4))).Acted);
        Assert.False((await dispatch.ReapAsync(keys, TimeSpan.FromHours(1), TimeSpan.FromSeconds(4))).Acted);
        await redis.Store.Database.HashSetAsync(keys.Meta, "patient", 1);
        Assert.Equal(1, (await dispatch.ReapAsync(keys, TimeSpan.FromHours(1), TimeSpan.FromSeconds(4))).LeasesEnded);
    }

    /// <summary>
    /// Start-time fair queueing: in any interval in which flows f and g both wait, their shares of the grants, each
    /// divided by its weight, differ by at most 1/w(f) + 1/w(g) (Goyal et al. 1996, theorem 1, with tickets of size
    /// one).
    /// </summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 3)]
    [InlineData(0.5, 2)]
    [InlineData(10, 1)]
    public async Task Flows_share_by_weight_within_the_bound_of_fair_queueing(double f, double g)
    {
        for (var i = 0; i < 60; i++) await SubmitAsync($"f{i}", j => j with { Flow = "f", Weight = f });
        for (var i = 0; i < 60; i++) await SubmitAsync($"g{i}", j => j with { Flow = "g", Weight = g });
        await UpAsync(120);
        var order = (await ClaimAsync()).ConvertAll(c => c.Id[0]);
        Assert.Equal(120, order.Count);
        for (var n = 1; n <= 120; n++)
        {
            var (of, og) = (order.Take(n).Count(o => o == 'f'), order.Take(n).Count(o => o == 'g'));
            if (of == 60 || og == 60) break;
            Assert.InRange(Math.Abs((of / f) - (og / g)), 0, (1 / f) + (1 / g) + 1e-6);
        }
    }

    [Fact]
    public async Task Low_priority_is_granted_after_everything_else_and_is_fair_among_its_flows()
    {
        await SubmitAsync("low1", j => j with { LowPriority = true });
        await SubmitAsync("low2", j => j with { LowPriority = true });
        await SubmitAsync("low3", j => j with { LowPriority = true, Flow = "other" });
        await SubmitAsync("a");
        await SubmitAsync("b");
        await UpAsync(5);
        Assert.Equal(["a", "b", "low1", "low3", "low2"], (await ClaimAsync()).Select(c => c.Id));
    }

    [Fact]
    public async Task Queues_are_bounded_for_the_endpoint_and_for_a_key()
    {
        await SubmitAsync("a");
        await SubmitAsync("b", j => j with { Flow = "other" });
        Assert.Equal(SubmitOutcome.FlowFull, (await TrySubmitAsync("c", j => j with { FlowMaxQueued = 1 })).Outcome);
        Assert.Equal(SubmitOutcome.QueueFull, (await TrySubmitAsync("c", j => j with { MaxQueued = 2 })).Outcome);
        Assert.Equal(SubmitOutcome.Queued, (await TrySubmitAsync("a")).Outcome);
        Assert.Equal(2, (await queries.CountAsync(endpoint, default)).Queued);
        await CheckAsync();
    }

    [Fact]
    public async Task The_checker_finds_violations()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync();
        var db = redis.Store.Database;
        await db.HashSetAsync(keys.Held, "unknown|p", 1);
        await db.HashSetAsync(keys.Results, "a", "COMPLETED|1|1|1|p\n1||\noutput\n1");
        await db.SortedSetAddAsync(keys.Queue, "1|job|ghost|1|1|f", 1);
        await db.HashSetAsync(keys.Flows, "f", 7);
        var report = await queries.CheckAsync(endpoint, default);
        string[] wrong =
        [
            "slots held without a lease: unknown|p", "slots of p", "tickets:",
            "that its job does not know: 1|job|ghost", "queued, but gone : ghost", "flow f",
            "running as g~0|1|p|",
        ];
        foreach (var part in wrong)
            Assert.Contains(report.Violations, v => v.Contains(part, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_pass_over_both_priorities_moves_the_virtual_time_of_each()
    {
        foreach (var id in new[] { "a", "b", "c" }) await SubmitAsync(id);
        foreach (var id in new[] { "d", "e" }) await SubmitAsync(id, j => j with { LowPriority = true });
        await UpAsync(2);
        Assert.Equal(["a", "b"], (await ClaimAsync()).Select(c => c.Id));
        Assert.Equal(("1", null), await VirtualTimesAsync());
        await dispatch.WorkerUpAsync(keys, "q", "{}", 3);
        Assert.Equal(["c", "d", "e"], (await ReleaseAsync("g~0")).Claimed.Select(c => c.Id));
        Assert.Equal(("2", "1000000000001"), await VirtualTimesAsync());

        async Task<(string?, string?)> VirtualTimesAsync()
        {
            var times = await redis.Store.Database.HashGetAsync(keys.Meta, ["vtime", "low_vtime"]);
            return (times[0], times[1]);
        }
    }

    [Fact]
    public async Task A_pass_over_many_tickets_is_split_into_parts()
    {
        for (var i = 0; i < 10_000; i += 1000)
            await Task.WhenAll(Enumerable.Range(i, 1000).Select(
                n => SubmitAsync($"late{n}", j => j with { Ttl = TimeSpan.Zero, MaxQueued = 100_000 })));
        await SubmitAsync("big1", j => j with { Input = new byte[200_000], MaxQueued = 100_000 });
        await UpAsync(1000);
        await dispatch.AcquireAsync(keys, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        var (passes, claimed) = (0, 0);
        for (ReleaseAnswer? answer = null; answer is not { More: false }; passes++)
        {
            answer = await ReleaseAsync("g~0");
            Assert.InRange(answer.Claimed.Length, 1, 256);
            claimed += answer.Claimed.Length;
        }

        Assert.Equal((10_001, 40), (claimed, passes));
        await CheckAsync();
    }

    [Fact]
    public async Task A_pass_carries_at_most_a_few_megabytes_of_inputs()
    {
        for (var i = 0; i < 50; i++) await SubmitAsync($"big{i}", j => j with { Input = new byte[200_000] });
        await UpAsync(50);
        await dispatch.AcquireAsync(keys, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        foreach (var (claimed, more) in new[] { (21, true), (21, true), (8, false) })
        {
            var answer = await ReleaseAsync("g~0");
            Assert.Equal((claimed, more), (answer.Claimed.Length, answer.More));
        }

        await CheckAsync();
    }

    [Fact]
    public async Task The_last_lost_attempts_are_kept()
    {
        await SubmitAsync("a", j => j with { MaxRuns = 1000 });
        await UpAsync(1);
        await ClaimAsync();
        for (var attempt = 1; attempt <= 30; attempt++)
        {
            Assert.True(
                await store.RequeueAsync(endpoint, "a", attempt, AttemptLoss.Free, new string('x', 2000), default));
            await ClaimAsync(back: 1);
        }

        var job = (await store.LookAsync(endpoint, "a", null, default))!;
        Assert.Equal((31, 1), (job.Attempt, job.Runs));
        Assert.InRange(job.Lost.Count, 5, 10);
        Assert.Equal(30, job.Lost[^1].Attempt);
        Assert.All(job.Lost, l => Assert.Equal(503, l.Why.Length));
    }

    [Fact]
    public async Task The_beginning_of_a_long_error_is_kept()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync();
        await EndAsync(
            JobEnd.Failed("a", 1, JobStatus.Failed, new JobError("handler", new string('x', 1 << 20), false)));
        Assert.Equal((16 << 10) + 3, (await store.LookAsync(endpoint, "a", null, default))!.Error!.Message.Length);
    }

    [Fact]
    public async Task A_list_reads_a_bounded_number_of_jobs_and_returns_the_next_offset()
    {
        for (var i = 0; i < 3000; i += 1000)
            await Task.WhenAll(
                Enumerable.Range(i, 1000).Select(n => SubmitAsync($"a{n}", j => j with { MaxQueued = 100_000 })));
        var all = await queries.ListAsync(endpoint, null, null, 0, 5, default);
        Assert.Equal((5, 5), (all.Jobs.Count, all.Next));
        var none = await queries.ListAsync(endpoint, "other", null, 0, 5, default);
        Assert.Equal((0, 2000), (none.Jobs.Count, none.Next));
        Assert.Null((await queries.ListAsync(endpoint, "other", null, 2000, 5, default)).Next);
    }

    [Fact]
    public async Task A_job_that_outlives_others_stays_in_the_list_and_the_others_are_removed()
    {
        var (k, db) = (new JobKeys(endpoint), redis.Store.Database);
        foreach (var id in new[] { "stays", "b", "c" })
            await SubmitAsync(id, j => j with { Retention = TimeSpan.Zero });
        await UpAsync(3);
        await ClaimAsync();
        await EndAndSweepAsync("b", "c");
        Assert.Equal(["stays"], (await queries.ListAsync(endpoint, null, null, 0, 5, default)).Jobs.Select(j => j.Id));
        await SubmitAsync("new");
        Assert.Equal(["new", "stays"],
            (await queries.ListAsync(endpoint, null, null, 0, 5, default)).Jobs.Select(j => j.Id));
        Assert.Equal(2, (await queries.CheckAsync(endpoint, default)).Known);
        await CheckAsync();

        await EndAndSweepAsync("stays");
        await store.CancelAsync(endpoint, "new", default);
        await CheckAsync();
        Assert.Equal(["new"], (await db.ListRangeAsync(k.Index)).Select(id => (string)id!));
        Assert.False(await db.KeyExistsAsync(k.Late));

        async Task EndAndSweepAsync(params string[] ids)
        {
            foreach (var id in ids) Assert.True(await EndAsync(JobEnd.Completed(id, 1, "1"u8.ToArray(), default)));
            Assert.Equal(
                ids.Length,
                (await new JobRetention(redis.Store, store, new PayloadStore(redis.Store, "/nowhere"))
                    .RunAsync(endpoint, default)).Swept);
        }
    }

    [Fact]
    public async Task Records_of_deleted_jobs_are_kept_for_the_latest_jobs_and_bounded()
    {
        var (k, db) = (new JobKeys(endpoint), redis.Store.Database);
        var sweep = new JobRetention(redis.Store, store, new PayloadStore(redis.Store, "/nowhere"), mostExpired: 4);
        await UpAsync(12);
        for (var i = 0; i < 12; i++)
        {
            await SubmitAsync($"j{i}", j => j with { Retention = TimeSpan.Zero });
            await ClaimAsync();
            Assert.True(await EndAsync(
                i == 11 ? JobEnd.Failed("j11", 1, JobStatus.Failed, new JobError("WRONG", "long words", true))
                : JobEnd.Completed($"j{i}", 1, "1"u8.ToArray(), default)));
            Assert.Equal(1, (await sweep.RunAsync(endpoint, default)).Swept);
            Assert.False(await db.KeyExistsAsync(k.Dispatch.Jobs) || await db.KeyExistsAsync(k.Dispatch.Results));
            var records = await db.HashLengthAsync(k.Expired) + await db.HashLengthAsync(k.ExpiredBefore);
            Assert.InRange(records, 0, 4 + 2 + 2);
        }

        Assert.Null(await store.LookAsync(endpoint, "j0", null, default));
        var last = (await store.LookAsync(endpoint, "j11", null, default))!;
        Assert.Equal(
            (true, JobStatus.Failed, 1, "WRONG", ""),
            (last.Expired, last.Status, last.Attempt, last.Error!.Code, last.Error.Message));
        Assert.True((await store.LookAsync(endpoint, "j10", null, default))!.Ended >= last.Submitted.AddMinutes(-1));
        Assert.Equal(("expired", JobStatus.Failed), await store.RetryAsync(endpoint, "j11", default));
        Assert.Equal(("gone", ""), await store.RetryAsync(endpoint, "j0", default));
        Assert.True(await db.KeyTimeToLiveAsync(k.Expired) > TimeSpan.FromDays(6));
        await CheckAsync();
        await ForgetAsync();
        Assert.Null(await store.LookAsync(endpoint, "j11", null, default));
    }

    private async Task SubmitAsync(string id, Func<JobSubmission, JobSubmission>? change = null) =>
        Assert.Equal(SubmitOutcome.Queued, (await TrySubmitAsync(id, change)).Outcome);

    private Task<SubmitResult> TrySubmitAsync(string id, Func<JobSubmission, JobSubmission>? change = null)
    {
        var job = Job(endpoint, id);
        return store.SubmitAsync(change?.Invoke(job) ?? job, default);
    }

    internal static JobSubmission Job(string endpoint, string id) => new()
    {
        Id = id, EndpointId = endpoint, Flow = "f", Input = "1"u8.ToArray(), Ttl = TimeSpan.FromHours(1),
        Timeout = TimeSpan.FromMinutes(1),
        Retention = TimeSpan.FromHours(1), MaxRuns = 3, MaxQueued = 1000,
    };

    private Task<bool> UpAsync(int slots) => dispatch.WorkerUpAsync(keys, "p", "{}", slots);

    private async Task<List<JobClaim>> ClaimAsync(int back = 0, string holder = "g~0", TimeSpan? lease = null)
    {
        await dispatch.AcquireAsync(keys, endpoint, holder, true, lease ?? TimeSpan.FromMinutes(1), 0, 0, []);
        return [.. (await ReleaseAsync(holder, back)).Claimed];
    }

    private Task<ReleaseAnswer> ReleaseAsync(string holder, int back = 0) =>
        dispatch.ReleaseAsync(
            new JobKeys(endpoint), endpoint, holder, back > 0 ? [new("p", back)] : [], [], claims: true);

    private async Task<bool> EndAsync(JobEnd end) =>
        Assert.Single(
            (await dispatch.ReleaseAsync(new JobKeys(endpoint), endpoint, "", [], [end], claims: false)).Ended).Ended;

    private Task ForgetAsync() => new EndpointDeletions(redis.Store, new CatalogStore(redis.Store), store, queries)
        .ForgetAsync(endpoint, Fence.NewToken(), ForgetPhase.First, default);

    private async Task CheckAsync()
    {
        var report = await queries.CheckAsync(endpoint, default);
        Assert.True(report.Count == 0, string.Join('\n', report.Violations));
    }
}
