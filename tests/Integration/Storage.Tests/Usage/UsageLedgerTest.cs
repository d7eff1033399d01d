using System.Globalization;
using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Tests.Jobs;
using Sluice.Storage.Usage;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Usage;

/// <summary>The ledger on a real Redis: everything counts once, whatever is repeated.</summary>
public sealed class UsageLedgerTest : IClassFixture<RedisFixture>, IDisposable
{
    private static readonly UsageRow Row = new("f", "m", "2xH100");

    private static int endpoints;

    private readonly string endpoint = $"u{Interlocked.Increment(ref endpoints)}";
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly RedisFixture redis;
    private readonly DispatchScripts dispatch;
    private readonly JobStore store;
    private readonly JobQueries queries;
    private readonly UsageLedger ledger;
    private readonly LedgerKeys keys;

    public UsageLedgerTest(RedisFixture redis)
    {
        this.redis = redis;
        dispatch = new DispatchScripts(redis.Store);
        store = new JobStore(redis.Store, new PayloadStore(redis.Store, folder));
        queries = new JobQueries(redis.Store, store);
        ledger = new UsageLedger(redis.Store, TimeProvider.System);
        keys = new LedgerKeys(endpoint);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_repeated_batch_counts_once()
    {
        await AddAsync("g1", 1, 5);
        await AddAsync("g1", 1, 5);
        await AddAsync("g2", 1, 10);
        await AddAsync("g1", 2, 100);
        // A late repetition of an earlier batch.
        await AddAsync("g1", 1, 5);

        Assert.Equal(115, await SumAsync(Row, UsageQuantity.Requests));
        Assert.Equal(115 * 7, await SumAsync(Row, UsageQuantity.Generated));
        await CheckAsync();
    }

    [Fact]
    public async Task Each_end_of_a_job_counts_once_for_its_key()
    {
        await dispatch.WorkerUpAsync(new DispatchKeys(endpoint), "p", "{}", 3);
        foreach (var id in new[] { "a", "b", "c", "d" }) await SubmitAsync(id);
        var claims = (await ClaimAsync()).ToDictionary(c => c.Id);
        var used = new WorkUsage(Row) { BytesIn = 3, Busy = 1500 }.WithTokens(10, 4, 20, 5);
        var end = JobEnd.Completed("a", claims["a"].Fence, "1"u8.ToArray(), default, used);
        for (var i = 0; i < 3; i++) Assert.True(await EndAsync(end));
        var error = new JobError("X", "x", false);
        // Another attempt, whose fence is rejected, and one that does not know the key of its job.
        Assert.False(await EndAsync(JobEnd.Failed("b", new Fence(7, "no"), JobStatus.Failed, error, used)));
        Assert.True(await EndAsync(JobEnd.Failed(
            "b", claims["b"].Fence, JobStatus.Failed, error, used with { Of = Row with { Key = "" } })));
        Assert.True((await store.CancelAsync(endpoint, "c", default)).Ended);
        Assert.True((await store.CancelAsync(endpoint, "d", default)).Ended);

        Assert.Equal(1, await SumAsync(Row, UsageQuantity.Completed));
        Assert.Equal(1, await SumAsync(Row, UsageQuantity.Failed));
        Assert.Equal(2, await SumAsync(new UsageRow("f", "", ""), UsageQuantity.Cancelled));
        Assert.Equal(
            [(UsageQuantity.BytesIn, 6L), (UsageQuantity.Prompt, 20), (UsageQuantity.Cached, 8),
                (UsageQuantity.Generated, 40), (UsageQuantity.Wasted, 10), (UsageQuantity.Busy, 3000)],
            (await SumsAsync(Row)).NonZero
                .Where(s => s.Quantity is not (UsageQuantity.Completed or UsageQuantity.Failed)));
        await CheckAsync();

        // A retried job ends again.
        Assert.Equal("ok", (await store.RetryAsync(endpoint, "b", default)).Did);
        Assert.True((await store.CancelAsync(endpoint, "b", default)).Ended);
        Assert.Equal(3, await SumAsync(new UsageRow("f", "", ""), UsageQuantity.Cancelled));
        await CheckAsync();
    }

    [Fact]
    public async Task The_check_finds_a_wrong_ledger()
    {
        await EndOneAsync("a");
        await CheckAsync();
        var hour = Assert.Single(await redis.Store.Database.SortedSetRangeByRankAsync(keys.Ledger));
        await redis.Store.Database.HashIncrementAsync(
            keys.Period(hour!), $"{new UsageRow("f", "", "").Text}|CANCELLED");

        var report = await queries.CheckAsync(endpoint, default);
        Assert.Equal("CANCELLED jobs: 1 counted, 2 in the ledger", Assert.Single(report.Violations));
    }

    [Fact]
    public async Task Jobs_before_the_ledger_and_of_a_deleted_endpoint_are_no_violation()
    {
        await EndOneAsync("a");
        // As after an upgrade: the counters are older than the ledger.
        await redis.Store.Database.KeyDeleteAsync(
            [keys.Ledger, keys.Ledger.Append(":base"), .. await PeriodsAsync()]);
        await EndOneAsync("b");
        Assert.Equal(1, await SumAsync(new UsageRow("f", "", ""), UsageQuantity.Cancelled));
        await CheckAsync();

        var deletions = new EndpointDeletions(redis.Store, new CatalogStore(redis.Store), store, queries);
        await deletions.ForgetAsync(endpoint, Fence.NewToken(), ForgetPhase.First, default);
        await CheckAsync();
        await EndOneAsync("a");
        Assert.Equal(2, await SumAsync(new UsageRow("f", "", ""), UsageQuantity.Cancelled));
        await CheckAsync();
    }

    [Fact]
    public async Task The_time_of_a_worker_counts_once_whichever_leader_counts_it()
    {
        var started = Now().AddSeconds(-9);
        var row = new UsageRow("", "m", "H100");
        var other = new UsageLedger(redis.Store, TimeProvider.System);
        await redis.Store.Database.HashSetAsync(keys.Pods, [new("p", "{}"), new("q", "{}")]);
        WorkerTime[] starting = [new("p", row, started, null), new("q", row, started, started.AddSeconds(2))];
        foreach (var leader in new[] { ledger, other, ledger })
            Assert.Equal(2, await leader.AddTimesAsync(endpoint, starting, default));
        WorkerTime[] ready = [starting[0] with { ReadyAt = Now() }, starting[1]];
        foreach (var leader in new[] { other, ledger })
            Assert.Equal(2, await leader.AddTimesAsync(endpoint, ready, default));

        var until = await UntilAsync("p") - started.ToUnixTimeMilliseconds();
        var sums = await SumsAsync(row);
        Assert.Equal(2 * until, sums[UsageQuantity.Starting] + sums[UsageQuantity.Ready]);
        Assert.Equal(2, sums[UsageQuantity.ColdStarts]);
        Assert.InRange(sums[UsageQuantity.Ready], until - 2000, until);

        // A removed pod counts until this look, and a late look of an earlier leader does not count it again.
        await redis.Store.Database.HashDeleteAsync(keys.Pods, "p");
        Assert.Equal(1, await other.AddTimesAsync(endpoint, ready, default));
        var after = await SumsAsync(row);
        Assert.Equal(1, await ledger.AddTimesAsync(endpoint, ready, default));
        var later = await SumsAsync(row);
        var q = await UntilAsync("q") - started.ToUnixTimeMilliseconds();
        Assert.InRange(
            later[UsageQuantity.Ready] + later[UsageQuantity.Starting] - q, until, q);
        Assert.Equal(after[UsageQuantity.ColdStarts], later[UsageQuantity.ColdStarts]);
    }

    [Fact]
    public async Task Old_hours_are_added_to_days_and_old_days_to_months()
    {
        var (day, old) = (UsageStep.Day.Begin(Now().AddDays(-45)), UsageStep.Month.Begin(Now().AddDays(-500)));
        for (var hour = 0; hour < 24; hour++)
            await WriteAsync($"h{Number(day.AddHours(hour), 1)}", day.AddHours(hour), 1);
        for (var i = 0; i < 28; i++) await WriteAsync($"d{Number(old.AddDays(i), 24)}", old.AddDays(i), 100);
        var recent = UsageStep.Hour.Begin(Now());
        await WriteAsync($"h{Number(recent, 1)}", recent, 7);

        await ledger.FoldAsync(endpoint, default);
        await ledger.FoldAsync(endpoint, default);

        var periods = await ledger.ReadAsync(endpoint, old, Now().AddHours(1), default);
        Assert.Equal(
            [(old, UsagePeriodLength.Month, 2800), (day, UsagePeriodLength.Day, 24),
                (recent, UsagePeriodLength.Hour, 7L)],
            periods.Select(p => (p.Begin, p.Length, p.Rows[Row][UsageQuantity.Requests])));
        Assert.Equal(3, (await PeriodsAsync()).Length);
    }

    private static string Number(DateTimeOffset at, int hours) =>
        (at.ToUnixTimeSeconds() / 3600 / hours).ToString(CultureInfo.InvariantCulture);

    private static DateTimeOffset Now() => TimeProvider.System.GetUtcNow();

    private async Task WriteAsync(string name, DateTimeOffset begin, long requests)
    {
        await redis.Store.Database.HashSetAsync(keys.Period(name), $"{Row.Text}|requests", requests);
        await redis.Store.Database.SortedSetAddAsync(keys.Ledger, name, begin.ToUnixTimeMilliseconds());
    }

    private async Task<long> UntilAsync(string pod) => long.Parse(
        ((string)(await redis.Store.Database.HashGetAsync(keys.Marks, pod))!).Split('|')[0],
        CultureInfo.InvariantCulture);

    private async Task<RedisKey[]> PeriodsAsync() =>
        [.. (await redis.Store.Database.SortedSetRangeByRankAsync(keys.Ledger)).Select(n => keys.Period((string)n!))];

    private Task AddAsync(string gateway, long number, long count)
    {
        var sums = new UsageSums();
        sums.Add(UsageQuantity.Requests, count);
        sums.Add(UsageQuantity.Generated, 7 * count);
        return ledger.AddAsync(endpoint, gateway, number, [(Row, sums)], default);
    }

    private async Task<UsageSums> SumsAsync(UsageRow row)
    {
        var all = new UsageSums();
        foreach (var period in await ledger.ReadAsync(endpoint, Now().AddDays(-1), Now().AddDays(1), default))
            if (period.Rows.TryGetValue(row, out var sums)) all.Add(sums);
        return all;
    }

    private async Task<long> SumAsync(UsageRow row, UsageQuantity quantity) => (await SumsAsync(row))[quantity];

    private async Task EndOneAsync(string id)
    {
        await SubmitAsync(id);
        Assert.True((await store.CancelAsync(endpoint, id, default)).Ended);
    }

    private async Task SubmitAsync(string id) => Assert.Equal(
        SubmitOutcome.Queued, (await store.SubmitAsync(JobStoreTest.Job(endpoint, id), default)).Outcome);

    private async Task<JobClaim[]> ClaimAsync()
    {
        var k = new JobKeys(endpoint);
        await dispatch.AcquireAsync(k.Dispatch, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        return [.. (await dispatch.ReleaseAsync(k, endpoint, "g~0", [], [], claims: true)).Claimed];
    }

    private async Task<bool> EndAsync(JobEnd end) => Assert.Single((await dispatch.ReleaseAsync(
        new JobKeys(endpoint), endpoint, "", [], [end], claims: false)).Ended).Ended;

    private async Task CheckAsync()
    {
        var report = await queries.CheckAsync(endpoint, default);
        // These tests return no slots, and write no records of workers.
        Assert.DoesNotContain(report.Violations, v => v.Contains("ledger", StringComparison.Ordinal));
    }
}
