using Sluice.Domain.Usage;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>A budget and what is used of it, for metrics. Pure.</summary>
/// <param name="Budget">The budget.</param>
/// <param name="State">What is used of it.</param>
public sealed record BudgetUse(Budget Budget, BudgetState State)
{
    /// <summary>The most budgets that have series of their own.</summary>
    public const int MaxSeries = 100;

    /// <summary>The share from which a budget is nearly used: that of the second alert.</summary>
    private const double Nearly = 0.8;

    private double Share => State.Used / Budget.Limit;

    /// <summary>Counts budgets by scope, and by state: <c>open</c>, <c>nearly_used</c> or <c>used_up</c>.</summary>
    public static IEnumerable<(string Scope, string State, long Count)> Count(IEnumerable<BudgetUse> all) => all
        .CountBy(u => (BudgetView.TextOf(u.Budget.Scope),
            u.Share >= 1 ? "used_up" : u.Share >= Nearly ? "nearly_used" : "open"))
        .Select(c => (c.Key.Item1, c.Key.Item2, (long)c.Value));

    /// <summary>Returns the budgets of which the largest share is used, at most <see cref="MaxSeries"/>.</summary>
    public static IEnumerable<BudgetUse> FindLargest(IEnumerable<BudgetUse> all) =>
        all.OrderByDescending(u => u.Share).Take(MaxSeries);

    /// <summary>The labels of the series of a budget; a metric has at most four.</summary>
    public KeyValuePair<string, object?>[] Labels() =>
    [
        KeyValuePair.Create("budget", (object?)Budget.Id),
        KeyValuePair.Create("scope", (object?)BudgetView.TextOf(Budget.Scope)),
        KeyValuePair.Create("target", (object?)Budget.Target),
        KeyValuePair.Create(
            "unit", (object?)$"{BudgetView.TextOf(Budget.Unit)}/{BudgetView.TextOf(Budget.Window)}"),
    ];
}
