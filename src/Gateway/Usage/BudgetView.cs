using Sluice.Domain.Usage;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>A budget as the API shows it.</summary>
/// <param name="Id">The id.</param>
/// <param name="Name">The display name.</param>
/// <param name="Scope">gateway, endpoint, key or tag.</param>
/// <param name="Target">The endpoint, key or tag; empty for the gateway.</param>
/// <param name="Unit">requests, tokens, workerSeconds or money.</param>
/// <param name="Window">day, week or month.</param>
/// <param name="Limit">The limit, in the unit.</param>
/// <param name="Webhook">The URL that gets the alerts; empty: none.</param>
/// <param name="Used">What is used and reserved in the current window.</param>
/// <param name="WindowStartsAt">The begin of the current window.</param>
/// <param name="ResetsAt">The end of the current window.</param>
public sealed record BudgetView(string Id, string Name, string Scope, string Target, string Unit, string Window,
    double Limit, string Webhook, double Used, DateTimeOffset WindowStartsAt, DateTimeOffset ResetsAt)
{
    /// <summary>Returns the view of a budget.</summary>
    public static BudgetView From(Budget b, BudgetState state) => new(b.Id, b.Name, TextOf(b.Scope), b.Target,
        TextOf(b.Unit), TextOf(b.Window), b.Limit, b.Webhook, Math.Round(state.Used, 6), state.Begin, state.End);

    internal static string TextOf(Enum value)
    {
        var text = value.ToString();
        return char.ToLowerInvariant(text[0]) + text[1..];
    }
}

/// <summary>The fields of a budget in a request.</summary>
public sealed record BudgetRequest(string Scope, string Unit, string Window, double Limit, string? Target = null,
    string? Name = null, string? Webhook = null);

/// <summary>All budgets.</summary>
public sealed record BudgetList(IReadOnlyList<BudgetView> Budgets);

/// <summary>The body of an alert.</summary>
/// <param name="Type"><c>budget.alert</c>.</param>
/// <param name="Level">50, 80, 100 (percent of the limit) or <c>projected</c>: the window would end above it.</param>
/// <param name="Budget">The budget as it was at the alert.</param>
public sealed record BudgetAlertBody(string Type, string Level, BudgetView Budget);

/// <summary>The secrets that sign alerts, newest first.</summary>
public sealed record AlertSecrets(IReadOnlyList<string> Values);
