using System.Collections.Concurrent;
using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;
using Sluice.Storage.Background;
using Sluice.Storage.Redis;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// Enforces budgets: reserves what a request or job may use before it is sent, and settles what it used. A request that
/// counts in no budget costs nothing. While Redis is unavailable, budgets are not enforced, as limits are not.
/// </summary>
public sealed class BudgetGuard(BudgetStore store, UsageLedger ledger, ApiKeyCache keys, GatewayMetrics metrics,
    TimeProvider time, ILogger<BudgetGuard> logger) : BackgroundLoop(time, logger)
{
    /// <summary>How late a gateway knows a changed budget.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SettlePause = TimeSpan.FromSeconds(1);

    /// <summary>A settlement is known for an hour, so it is not repeated for longer.</summary>
    private static readonly TimeSpan SettleFor = TimeSpan.FromMinutes(30);

    /// <summary>
    /// How long a reservation is known after its job could start. It is longer than any request or run, because a
    /// reservation that is unknown when it is settled counts twice. Only a gateway that is killed leaves one.
    /// </summary>
    private static readonly TimeSpan Life = TimeSpan.FromDays(7);

    /// <summary>The share of the latest request in the expected time of the next one.</summary>
    private const double Learning = 0.1;

    private static readonly List<Budget> None = [];

    private readonly TimeProvider time = time;
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, Expected> expected = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<Budget> budgets = [];
    private PriceTable prices = PriceTable.Empty;

    /// <summary>Whether any budget has a webhook, so that alerts may be due.</summary>
    public bool HasAlerts { get; private set; }

    /// <summary>Reads the budgets and the prices again.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        var read = await store.ListAsync(ct);
        if (read.Any(b => b.Unit == BudgetUnit.Money)) prices = await ledger.PricesAsync(ct);
        HasAlerts = read.Any(b => b.Webhook.Length > 0);
        budgets = read;
        loaded.TrySetResult();
    }

    /// <summary>Returns whether a request or job counts in any budget.</summary>
    /// <param name="endpoint">The id of its endpoint.</param>
    /// <param name="flow">The id of its key, or the public flow.</param>
    public bool Counts(string endpoint, string flow) => Find(endpoint, flow).Count > 0;

    /// <summary>Reserves what a request may use. Null: a response was written.</summary>
    /// <param name="context">The request.</param>
    /// <param name="admission">The admitted request.</param>
    /// <param name="tokens">The tokens that it may use at most.</param>
    public ValueTask<BudgetHold?> ReserveAsync(HttpContext context, AuthenticatedRequest admission, long tokens)
    {
        var endpoint = admission.Deployment!.Endpoint.Id;
        if (loaded.Task.IsCompleted && !Counts(endpoint, admission.Flow)) return new(BudgetHold.None);
        return new(ReserveAsync());

        async Task<BudgetHold?> ReserveAsync()
        {
            await WaitUntilLoadedAsync();
            var found = Find(endpoint, admission.Flow);
            if (found.Count == 0) return BudgetHold.None;
            var hold = new BudgetHold(Guid.NewGuid().ToString("N"), endpoint, found);
            if (await TryReserveAsync(hold, tokens, Life, isOfJob: false) is not { } refusal) return hold;
            await RefuseAsync(context, admission, refusal);
            return null;
        }
    }

    /// <summary>Reserves what a job may use. Returns the budget that has no room, or null.</summary>
    /// <param name="endpoint">The id of the endpoint.</param>
    /// <param name="flow">The id of the key, or the public flow.</param>
    /// <param name="job">The id of the job.</param>
    /// <param name="tokens">The tokens that it may use at most.</param>
    /// <param name="ttl">How long the job may wait.</param>
    public async Task<BudgetRefusal?> TryReserveJobAsync(
        string endpoint, string flow, string job, long tokens, TimeSpan ttl)
    {
        await WaitUntilLoadedAsync();
        var hold = JobHold(endpoint, flow, job);
        return hold.Budgets.Count == 0 ? null : await TryReserveAsync(hold, tokens, ttl + Life, isOfJob: true);
    }

    /// <summary>
    /// Reserves a run of a job that failed and is queued again. How many tokens it may use is unknown; they are
    /// settled. Returns the budget that has no room, or null.
    /// </summary>
    /// <param name="job">The job.</param>
    public async Task<BudgetRefusal?> TryReserveRetryAsync(Job job)
    {
        var hold = JobHold(job.EndpointId, job.Flow, job.Id);
        if (hold.Budgets.Count == 0) return null;
        try
        {
            // The settlement of the run before it may not have arrived yet.
            await store.KeepAsync(hold.Request).WaitAsync(Patience, time);
        }
        catch (Exception e) when (RedisFaults.Classify(e) != RedisFault.None)
        {
            Failures.Report($"Reserving budgets of endpoint {job.EndpointId}", e);
        }

        return await TryReserveJobAsync(job.EndpointId, job.Flow, job.Id, 0, job.Deadline - job.Submitted);
    }

    /// <summary>Settles a request. Returns when it is settled, or waits for Redis in the background.</summary>
    /// <param name="hold">The reservation.</param>
    /// <param name="requests">1 if a worker received it, otherwise 0.</param>
    /// <param name="used">What it used.</param>
    public Task SettleAsync(BudgetHold hold, int requests, WorkUsage used)
    {
        if (hold.Budgets.Count == 0) return Task.CompletedTask;
        var cost = prices.PerHour(used.Of.Gpu ?? "", time.GetUtcNow()) ?? 0;
        if (requests > 0) Learn(hold.Endpoint, used.Busy, used.Busy * cost / 3600);
        var amounts = hold.Budgets.Select(b => (b, b.IsOfWorkers ? 0 : b.Unit switch
        {
            BudgetUnit.Requests => requests,
            BudgetUnit.Tokens => used.Prompt + used.Generated,
            // Amounts are millionths of a second, as the usage is.
            BudgetUnit.WorkerSeconds => used.Busy,
            _ => (long)(used.Busy * cost / 3600),
        })).ToList();
        var settling = SettleAsync(hold, amounts);
        // The next request of the client sees the settlement, unless Redis is unavailable.
        return Task.WhenAny(settling, Task.Delay(Patience, time));
    }

    /// <summary>Settles a job that ended.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="flow">The id of the key, or the public flow.</param>
    /// <param name="job">The id of the job.</param>
    /// <param name="requests">1 if it ended, 0 if it was cancelled or not queued.</param>
    /// <param name="used">What it used.</param>
    public Task SettleJobAsync(string endpoint, string flow, string job, int requests, WorkUsage used = default) =>
        budgets.Count == 0 ? Task.CompletedTask : SettleAsync(JobHold(endpoint, flow, job), requests, used);

    /// <summary>Counts what an attempt of a job used that did not end the job.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="flow">The id of the key, or the public flow.</param>
    /// <param name="attempt">The id of the attempt.</param>
    /// <param name="used">What it used.</param>
    public Task ChargeAsync(string endpoint, string flow, string attempt, WorkUsage used) =>
        used == default || !Counts(endpoint, flow) ? Task.CompletedTask
            : SettleAsync(JobHold(endpoint, flow, attempt), 0, used);

    /// <summary>Writes the response to a request or job for which a budget has no room.</summary>
    public Task RefuseAsync(HttpContext context, AuthenticatedRequest admission, BudgetRefusal refusal)
    {
        metrics.Limited("budget");
        context.Response.Headers["x-should-retry"] = "false";
        var isNamed = admission.Caller is not null;
        return Problem.WriteAsync(context, StatusCodes.Status402PaymentRequired,
            BudgetTexts.Describe(refusal, isNamed, prices.Currency), refusal.State.End - time.GetUtcNow(),
            budget: isNamed ? BudgetTexts.ExcessOf(refusal) : null);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Interval, time);
        do await RefreshAsync(ct);
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Waits until the budgets were read once, at most for <see cref="Patience"/>.</summary>
    private Task WaitUntilLoadedAsync() => loaded.Task.IsCompleted ? Task.CompletedTask
        : Task.WhenAny(loaded.Task, Task.Delay(Patience, time));

    private BudgetHold JobHold(string endpoint, string flow, string job) =>
        BudgetHold.OfJob(endpoint, job, Find(endpoint, flow));

    private List<Budget> Find(string endpoint, string flow)
    {
        var all = budgets;
        if (all.Count == 0) return None;
        var tags = keys.FindRecord(flow)?.Tags ?? Budget.NoTags;
        List<Budget>? found = null;
        foreach (var budget in all)
            if (budget.Counts(endpoint, flow, tags)) (found ??= []).Add(budget);
        return found ?? None;
    }

    /// <summary>
    /// Reserves amounts. Null: they are reserved, or Redis did not answer; they may be reserved then, and are settled.
    /// </summary>
    private async Task<BudgetRefusal?> TryReserveAsync(
        BudgetHold hold, long tokens, TimeSpan life, bool isOfJob)
    {
        var next = expected.GetValueOrDefault(hold.Endpoint);
        var amounts = hold.Budgets.Select(b => (b, b.IsOfWorkers ? 0 : b.Unit switch
        {
            BudgetUnit.Requests => 1,
            BudgetUnit.Tokens => tokens,
            BudgetUnit.WorkerSeconds => (long)(next?.Busy ?? 0),
            _ => (long)(next?.Cost ?? 0),
        })).ToList();
        try
        {
            return await store.ReserveAsync(hold.Request, amounts, life, isOfJob).WaitAsync(Patience, time);
        }
        catch (Exception e) when (RedisFaults.Classify(e) != RedisFault.None)
        {
            Failures.Report($"Reserving budgets of endpoint {hold.Endpoint}", e);
            return null;
        }
    }

    private async Task SettleAsync(BudgetHold hold, IReadOnlyList<(Budget Budget, long Amount)> amounts)
    {
        for (var since = time.GetTimestamp(); time.GetElapsedTime(since) < SettleFor;)
        {
            try
            {
                await store.SettleAsync(hold.Request, amounts);
                return;
            }
            catch (Exception e)
            {
                // Exceptions of every type are retried: no caller waits for long.
                Failures.Report($"Settling budgets of endpoint {hold.Endpoint}", e);
                await Task.Delay(SettlePause, time);
            }
        }
    }

    private void Learn(string endpoint, double busy, double cost) => expected.AddOrUpdate(endpoint,
        static (_, now) => now,
        static (_, was, now) => new Expected(
            was.Busy + (Learning * (now.Busy - was.Busy)), was.Cost + (Learning * (now.Cost - was.Cost))),
        new Expected(busy, cost));

    /// <summary>What a request of an endpoint uses, on average: millionths of a second, and of money.</summary>
    private sealed record Expected(double Busy, double Cost);
}
