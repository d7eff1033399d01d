using System.Globalization;
using System.Text.Json;
using Sluice.Domain.Usage;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Usage;

/// <summary>
/// Stores budgets and what is used of them. Their alerts are deliveries in an outbox of their own, in the form of those
/// of an endpoint.
/// </summary>
public sealed class BudgetStore(RedisStore redis)
{
    /// <summary>
    /// The name of the outbox of alerts, in the place of the id of an endpoint. No endpoint has such an id.
    /// </summary>
    public const string Outbox = "~budgets";

    /// <summary>How long a settlement is known, so that its repetition changes nothing.</summary>
    private static readonly TimeSpan SettledKept = TimeSpan.FromHours(1);

    private static readonly Script ReserveLua = Script.Load("budget-reserve");
    private static readonly Script SettleLua = Script.Load("budget-settle");
    private static readonly Script SetLua = Script.Load("budget-set");
    private static readonly Script OpenLua = Script.Load("budget-open");

    private static readonly JobKeys Hooks = new(Outbox);
    private static readonly RedisKey All = DispatchKeys.Key(Outbox, "all");
    private static readonly RedisKey Used = DispatchKeys.Key(Outbox, "used:");
    private static readonly RedisKey Open = DispatchKeys.Key(Outbox, "open");
    private static readonly RedisKey[] Counting = [Hooks.Outbox, Hooks.Log, Hooks.Hooks, Used];

    /// <summary>Returns all budgets.</summary>
    public async Task<IReadOnlyList<Budget>> ListAsync(CancellationToken ct)
    {
        var all = await redis.Database.HashGetAllAsync(All).WaitAsync(ct);
        return
        [
            .. all.Select(b => JsonSerializer.Deserialize((string)b.Value!, UsageJson.Default.Budget)!)
                .OrderBy(b => b.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>Returns a budget, or null.</summary>
    public async Task<Budget?> FindAsync(string id, CancellationToken ct) =>
        (string?)await redis.Database.HashGetAsync(All, id).WaitAsync(ct) is { } json
            ? JsonSerializer.Deserialize(json, UsageJson.Default.Budget)
            : null;

    /// <summary>Stores a budget.</summary>
    public Task PutAsync(Budget budget, CancellationToken ct) => ReservedWrite.RunAsync(redis.Database, All, "HSET",
        budget.Id, JsonSerializer.Serialize(budget, UsageJson.Default.Budget)).WaitAsync(ct);

    /// <summary>Deletes a budget. Returns false if it does not exist.</summary>
    public Task<bool> DeleteAsync(string id, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(All, id).WaitAsync(ct);

    /// <summary>Reserves amounts for a request. A repeated call reserves nothing more.</summary>
    /// <param name="request">The id of the request.</param>
    /// <param name="amounts">The budgets, with the amount of each.</param>
    /// <param name="life">How long the reservation is known. Later it counts as used.</param>
    /// <param name="isOfJob">
    /// Whether it is of a job: <see cref="OpenJobsAsync"/> returns it until it is settled.
    /// </param>
    /// <returns>Null, or the first budget without room.</returns>
    public async Task<BudgetRefusal?> ReserveAsync(string request,
        IReadOnlyList<(Budget Budget, long Amount)> amounts, TimeSpan life, bool isOfJob = false)
    {
        var reply = (await ReserveLua.RunAsync(redis.Database, [.. Counting, Held(request), Open],
            [(long)life.TotalMilliseconds, isOfJob ? request : "", .. Args(amounts)])).Items();
        if ((int)reply[0] is var place && place == 0) return null;
        var (budget, amount) = amounts[place - 1];
        return new BudgetRefusal(budget, State(budget, reply[1..]), amount);
    }

    /// <summary>Replaces the reservation of a request by what it used. A repeated call changes nothing.</summary>
    public Task SettleAsync(string request, IReadOnlyList<(Budget Budget, long Amount)> amounts) =>
        SettleAsync(request, "use", amounts);

    /// <summary>Ends a reservation, which counts as used. Without a reservation, it changes nothing.</summary>
    public Task KeepAsync(string request) => SettleAsync(request, "keep", []);

    /// <summary>
    /// Returns a reservation, of which nothing was used. If the request is settled later, what it used counts.
    /// </summary>
    public Task ReturnAsync(string request) => SettleAsync(request, "return", []);

    /// <summary>
    /// Returns the reservations of jobs that this method did not return for a while, oldest first.
    /// </summary>
    /// <param name="age">How long it did not return them, and how old they are.</param>
    /// <param name="max">The most of them.</param>
    /// <param name="ct">Stops waiting for the reply.</param>
    public async Task<IReadOnlyList<string>> OpenJobsAsync(TimeSpan age, int max, CancellationToken ct) =>
        (await OpenLua.RunAsync(redis.Database, [Open], [(long)age.TotalMilliseconds, max]).WaitAsync(ct)).Texts();

    /// <summary>Sets what is used of a budget in its window, sends due alerts, and returns the state.</summary>
    /// <param name="budget">The budget.</param>
    /// <param name="amount">The amount in the window; null: keep what is counted.</param>
    /// <param name="projectAfter">From this age of the window on, a projection above the limit is an alert.</param>
    /// <param name="ct">Stops waiting for the reply.</param>
    public async Task<BudgetState> SetAsync(
        Budget budget, long? amount, TimeSpan projectAfter, CancellationToken ct) =>
        State(budget, (await SetLua.RunAsync(redis.Database, Counting,
            [
                budget.Id, WindowOf(budget), budget.LimitAmount, amount ?? -1, budget.Webhook,
                (long)projectAfter.TotalMilliseconds,
            ]).WaitAsync(ct)).Items());

    /// <summary>Returns what an alert says: the level, and the budget as it was then. Null: it was deleted.</summary>
    public async Task<BudgetAlert?> FindAlertAsync(string delivery, CancellationToken ct)
    {
        var values = await redis.Database.HashGetAsync(Hooks.Hook(delivery),
            ["status", "used", "limit", "begin", "ends", "job"]).WaitAsync(ct);
        if (values.Any(v => v.IsNull)) return null;
        return await FindAsync((string)values[5]!, ct) is { } budget
            ? new BudgetAlert((string)values[0]!, budget, (long)values[1] / (double)budget.Scale,
                (long)values[2] / (double)budget.Scale, DateTimeOffset.FromUnixTimeMilliseconds((long)values[3]),
                DateTimeOffset.FromUnixTimeMilliseconds((long)values[4]))
            : null;
    }

    private Task<RedisResult> SettleAsync(
        string request, string mode, IReadOnlyList<(Budget Budget, long Amount)> amounts) =>
        SettleLua.RunAsync(redis.Database, [.. Counting, Held(request), Settled(request), Open],
            [(long)SettledKept.TotalMilliseconds, request, mode, .. Args(amounts)]);

    private static BudgetState State(Budget budget, RedisResult[] reply) => new(
        (long)reply[0] / (double)budget.Scale, DateTimeOffset.FromUnixTimeMilliseconds((long)reply[1]),
        DateTimeOffset.FromUnixTimeMilliseconds((long)reply[2]));

    private static string WindowOf(Budget budget) => budget.Window.ToString().ToLowerInvariant();

    private static IEnumerable<RedisValue> Args(IEnumerable<(Budget Budget, long Amount)> amounts) =>
        amounts.SelectMany(a => new RedisValue[]
        {
            a.Budget.Id, WindowOf(a.Budget), a.Budget.LimitAmount, a.Amount.ToString(CultureInfo.InvariantCulture),
            a.Budget.Webhook,
        });

    private static RedisKey Held(string request) => DispatchKeys.Key(Outbox, $"held:{request}");

    private static RedisKey Settled(string request) => DispatchKeys.Key(Outbox, $"settled:{request}");
}
