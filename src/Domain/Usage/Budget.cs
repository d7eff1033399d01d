namespace Sluice.Domain.Usage;

/// <summary>A limit of what may be used in a window of time.</summary>
public sealed record Budget
{
    /// <summary>The tags of a request without a key.</summary>
    public static readonly IReadOnlyDictionary<string, string> NoTags = new Dictionary<string, string>();

    /// <summary>The id, assigned by the gateway.</summary>
    public required string Id { get; init; }

    /// <summary>The display name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Whose usage counts.</summary>
    public BudgetScope Scope { get; init; }

    /// <summary>
    /// The id of the endpoint or key, or <c>name=value</c> of the tag of keys; empty for the whole gateway.
    /// </summary>
    public string Target { get; init; } = "";

    /// <summary>What counts.</summary>
    public BudgetUnit Unit { get; init; }

    /// <summary>The window: day, week (from Monday on) or month, in UTC.</summary>
    public UsageStep Window { get; init; }

    /// <summary>The limit, in the unit.</summary>
    public required double Limit { get; init; }

    /// <summary>The URL that gets the alerts; empty: none.</summary>
    public string Webhook { get; init; } = "";

    /// <summary>
    /// Whether the usage counts the time of workers: it is read from the ledger, because the time in which they start
    /// and are idle belongs to no request.
    /// </summary>
    public bool IsOfWorkers => Unit is BudgetUnit.Money or BudgetUnit.WorkerSeconds
        && Scope is BudgetScope.Gateway or BudgetScope.Endpoint;

    /// <summary>Amounts in Redis are integers: this many of them are one of the unit.</summary>
    public long Scale => Unit is BudgetUnit.Money or BudgetUnit.WorkerSeconds ? 1_000_000 : 1;

    /// <summary>The limit as an amount.</summary>
    public long LimitAmount => (long)Math.Round(Limit * Scale);

    /// <summary>Returns whether a request counts.</summary>
    /// <param name="endpoint">Its endpoint.</param>
    /// <param name="key">The id of its key, or <c>public</c>.</param>
    /// <param name="tags">The tags of its key.</param>
    public bool Counts(string endpoint, string key, IReadOnlyDictionary<string, string> tags) => Scope switch
    {
        BudgetScope.Gateway => true,
        BudgetScope.Endpoint => endpoint == Target,
        BudgetScope.Key => key == Target,
        _ => Target.IndexOf('=', StringComparison.Ordinal) is var at and > 0
            && tags.TryGetValue(Target[..at], out var value) && value == Target[(at + 1)..],
    };

    /// <summary>Returns what a line of a report is as an amount.</summary>
    public long AmountOf(UsageLine line) => Unit switch
    {
        BudgetUnit.Requests => line.Sums[UsageQuantity.Requests] + line.Sums[UsageQuantity.Completed]
            + line.Sums[UsageQuantity.Failed] + line.Sums[UsageQuantity.TimedOut],
        BudgetUnit.Tokens => line.Sums[UsageQuantity.Prompt] + line.Sums[UsageQuantity.Generated],
        BudgetUnit.WorkerSeconds => (long)Math.Round(line.Seconds.Total * Scale),
        _ => (long)Math.Round(line.Cost * Scale),
    };
}
