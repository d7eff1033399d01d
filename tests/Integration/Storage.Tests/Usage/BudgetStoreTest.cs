using Sluice.Domain.Usage;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Storage.Usage;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Usage;

/// <summary>Budgets on a real Redis: bursts, settlements, windows and alerts.</summary>
public sealed class BudgetStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(1);

    private static int budgets;

    private readonly BudgetStore store = new(redis.Store);

    [Theory]
    [InlineData(BudgetUnit.Requests, 1000, 1, 1)]
    [InlineData(BudgetUnit.Tokens, 100_000, 150, 90)]
    [InlineData(BudgetUnit.Tokens, 100_000, 100, 130)]
    public async Task A_burst_exceeds_a_budget_by_at_most_what_is_in_flight(
        BudgetUnit unit, long limit, long estimated, long used)
    {
        const int clients = 64;
        var budget = New(unit, limit);
        var total = 0L;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            for (var i = 0; ; i++)
            {
                var request = $"{budget.Id}-{client}-{i}";
                if (await store.ReserveAsync(request, [(budget, estimated)], Life) is { } refusal)
                {
                    Assert.Equal((budget.Id, limit), (refusal.Budget.Id, (long)budget.Limit));
                    return;
                }

                Interlocked.Add(ref total, used);
                await store.SettleAsync(request, [(budget, used)]);
            }
        })));

        var state = await StateAsync(budget);
        Assert.Equal(total, state.Used);
        // A reservation fits; each request in flight can use more than it reserved.
        Assert.InRange(total, limit - (clients * estimated), limit + (clients * Math.Max(0, used - estimated)));
    }

    [Fact]
    public async Task Repeated_calls_change_nothing()
    {
        var budget = New(BudgetUnit.Tokens, 100);
        for (var i = 0; i < 3; i++) Assert.Null(await store.ReserveAsync($"{budget.Id}-r", [(budget, 60)], Life));
        Assert.Equal(60, (await StateAsync(budget)).Used);
        Assert.Equal(60, (await store.ReserveAsync($"{budget.Id}-other", [(budget, 60)], Life))!.Amount);
        for (var i = 0; i < 3; i++) await store.SettleAsync($"{budget.Id}-r", [(budget, 10)]);
        Assert.Equal(10, (await StateAsync(budget)).Used);
        // Without a reservation, which Redis did not confirm, it counts once.
        for (var i = 0; i < 3; i++) await store.SettleAsync($"{budget.Id}-unreserved", [(budget, 5)]);
        Assert.Equal(15, (await StateAsync(budget)).Used);
        // An id may be used again, as the line of a batch that was not accepted.
        Assert.Null(await store.ReserveAsync($"{budget.Id}-r", [(budget, 60)], Life));
        await store.SettleAsync($"{budget.Id}-r", [(budget, 1)]);
        Assert.Equal(16, (await StateAsync(budget)).Used);
    }

    [Fact]
    public async Task A_reservation_that_no_gateway_settles_counts_as_used()
    {
        var budget = New(BudgetUnit.Tokens, 100);
        Assert.Null(await store.ReserveAsync($"{budget.Id}-killed", [(budget, 60)], TimeSpan.FromMilliseconds(1)));
        await Eventually.HoldsAsync(async () => !await redis.Store.Database.KeyExistsAsync(
            $"sluice:{{{BudgetStore.Outbox}}}:held:{budget.Id}-killed"));
        Assert.Equal(60, (await StateAsync(budget)).Used);
    }

    [Fact]
    public async Task Reservations_of_jobs_are_found_until_they_end()
    {
        var budget = New(BudgetUnit.Tokens, 100);
        string[] jobs = [.. new[] { "used", "kept", "returned" }.Select(j => $"{budget.Id}:{j}")];
        foreach (var job in jobs) Assert.Null(await store.ReserveAsync(job, [(budget, 20)], Life, isOfJob: true));
        Assert.Null(await store.ReserveAsync($"{budget.Id}-request", [(budget, 1)], Life));
        Assert.Empty(await OpenAsync(TimeSpan.FromMinutes(1)));
        Assert.Equal(jobs.Order(), (await OpenAsync(TimeSpan.Zero)).Order());
        // They were returned just now.
        Assert.Empty(await OpenAsync(TimeSpan.FromMinutes(1)));

        await store.SettleAsync(jobs[0], [(budget, 5)]);
        for (var i = 0; i < 2; i++) await store.KeepAsync(jobs[1]);
        for (var i = 0; i < 2; i++) await store.ReturnAsync(jobs[2]);
        Assert.Empty(await OpenAsync(TimeSpan.Zero));
        Assert.Equal(5 + 20 + 1, (await StateAsync(budget)).Used);
        // A late settlement counts only if nothing of the job counts yet.
        foreach (var job in jobs) await store.SettleAsync(job, [(budget, 7)]);
        Assert.Equal(5 + 20 + 1 + 7, (await StateAsync(budget)).Used);

        async Task<IEnumerable<string>> OpenAsync(TimeSpan age) =>
            (await store.OpenJobsAsync(age, 1000, default)).Where(j => j.StartsWith($"{budget.Id}:"));
    }

    [Fact]
    public async Task A_settlement_returns_what_was_reserved_of_other_budgets()
    {
        var (left, kept) = (New(BudgetUnit.Tokens, 100), New(BudgetUnit.Tokens, 100));
        Assert.Null(await store.ReserveAsync($"{left.Id}-r", [(left, 60), (kept, 60)], Life));
        await store.SettleAsync($"{left.Id}-r", [(kept, 10)]);
        Assert.Equal((0, 10), ((await StateAsync(left)).Used, (await StateAsync(kept)).Used));
    }

    [Fact]
    public async Task A_refused_request_reserves_of_no_budget()
    {
        var (wide, narrow) = (New(BudgetUnit.Requests, 10), New(BudgetUnit.WorkerSeconds, 0.5));
        Assert.Null(await store.ReserveAsync($"{wide.Id}-1", [(wide, 1), (narrow, 400_000)], Life));
        var refusal = await store.ReserveAsync($"{wide.Id}-2", [(wide, 1), (narrow, 400_000)], Life);
        Assert.Equal((narrow.Id, 0.4), (refusal!.Budget.Id, refusal.State.Used));
        Assert.Equal(1, (await StateAsync(wide)).Used);
    }

    [Theory]
    [InlineData(UsageStep.Day)]
    [InlineData(UsageStep.Week)]
    [InlineData(UsageStep.Month)]
    public async Task Windows_are_those_of_the_calendar(UsageStep window)
    {
        var state = await StateAsync(New(BudgetUnit.Requests, 1) with { Window = window });
        // The two clocks can be on both sides of midnight.
        var now = TimeProvider.System.GetUtcNow();
        DateTimeOffset[] times = [now.AddMinutes(-1), now, now.AddMinutes(1)];
        Assert.Contains((state.Begin, state.End), times.Select(t => (window.Begin(t), window.End(t))));
    }

    [Fact]
    public async Task Each_alert_is_sent_once_a_window()
    {
        var budget = New(BudgetUnit.Requests, 10) with { Webhook = "https://example.com/alerts" };
        await store.PutAsync(budget, default);
        for (var i = 0; i < 11; i++) await store.ReserveAsync($"{budget.Id}-{i}", [(budget, 1)], Life);
        var outbox = new WebhookStore(redis.Store);
        foreach (var sent in (await outbox.TakeAsync(BudgetStore.Outbox, 100, Life, default)).Tries)
            await outbox.SettleAsync(sent, null, "delivered", "", default);
        // What is returned and used again passes the level a second time.
        await store.SettleAsync($"{budget.Id}-9", [(budget, 0)]);
        await store.ReserveAsync($"{budget.Id}-12", [(budget, 1)], Life);
        for (var i = 0; i < 2; i++) await store.SetAsync(budget, null, TimeSpan.Zero, default);

        var own = (await outbox.ListAsync(BudgetStore.Outbox, 0, 100, default))
            .Where(h => h.Job == budget.Id).ToList();
        Assert.All(own, h => Assert.Equal(h.JobStatus == "projected" ? "pending" : "delivered", h.State));
        Assert.Equal(["100", "50", "80", "projected"], own.Select(h => h.JobStatus).Order(StringComparer.Ordinal));
        var alert = await store.FindAlertAsync(own.Single(h => h.JobStatus == "80").Id, default);
        Assert.Equal(("80", 8.0, 10.0, budget.Id), (alert!.Level, alert.Used, alert.Limit, alert.Budget.Id));
        await store.DeleteAsync(budget.Id, default);
        Assert.Null(await store.FindAlertAsync(own[0].Id, default));
    }

    [Fact]
    public async Task Several_gateways_send_each_alert_once_and_a_smaller_limit_sends_what_is_due()
    {
        const int requests = 200;
        var budget = New(BudgetUnit.Requests, 4 * requests) with { Webhook = "https://example.com/alerts" };
        await store.PutAsync(budget, default);
        BudgetStore[] gateways = [store, new(new RedisStore(await redis.ConnectAsync()))];
        await Task.WhenAll(Enumerable.Range(0, requests).Select(async n =>
        {
            await gateways[n % 2].ReserveAsync($"{budget.Id}-{n}", [(budget, 1)], Life);
            await gateways[1 - (n % 2)].SettleAsync($"{budget.Id}-{n}", [(budget, 1)]);
        }));
        Assert.Empty(await AlertsAsync(budget));
        budget = budget with { Limit = 1.25 * requests };
        await Task.WhenAll(gateways.Select(g => g.SetAsync(budget, null, TimeSpan.FromDays(400), default)));
        Assert.Equal(["50", "80"], await AlertsAsync(budget));
        await Task.WhenAll(Enumerable.Range(requests, requests / 4).Select(n =>
            gateways[n % 2].ReserveAsync($"{budget.Id}-{n}", [(budget, 1)], Life)));
        await Task.WhenAll(gateways.Select(g => g.SetAsync(budget, null, TimeSpan.Zero, default)));
        Assert.Equal(["100", "50", "80", "projected"], await AlertsAsync(budget));
    }

    private async Task<IEnumerable<string>> AlertsAsync(Budget budget) =>
        (await new WebhookStore(redis.Store).ListAsync(BudgetStore.Outbox, 0, 1000, default))
            .Where(h => h.Job == budget.Id).Select(h => h.JobStatus).Order(StringComparer.Ordinal);

    private static Budget New(BudgetUnit unit, double limit) => new()
    {
        Id = $"b{Interlocked.Increment(ref budgets)}",
        Unit = unit,
        Window = UsageStep.Month,
        Limit = limit,
    };

    private Task<BudgetState> StateAsync(Budget budget) =>
        store.SetAsync(budget, null, TimeSpan.FromDays(400), default);
}
