using System.Globalization;
using Sluice.Domain.Usage;
using Sluice.Gateway.Http;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>The texts about budgets. Pure.</summary>
public static class BudgetTexts
{
    /// <summary>Returns the error of a request for which a budget has no room.</summary>
    /// <param name="refusal">The budget.</param>
    /// <param name="isNamed">Whether the caller may know the budget: it has a key.</param>
    /// <param name="currency">The currency of the prices.</param>
    public static string Describe(BudgetRefusal refusal, bool isNamed, string currency)
    {
        var (budget, state) = (refusal.Budget, refusal.State);
        var reset = state.End.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        if (!isNamed) return $"The budget for requests without a key is used up. It resets at {reset}.";
        var unit = UnitOf(budget, currency);
        var needs = refusal.Amount > 1 && state.Used < budget.Limit
            ? string.Create(CultureInfo.InvariantCulture,
                $", and this request reserves {refusal.Amount / (double)budget.Scale:0.######}")
            : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"Budget {budget.Id} of {Of(budget)} allows {budget.Limit:0.######} {unit} per {Lower(budget.Window)}; ")
            + string.Create(CultureInfo.InvariantCulture,
            $"{state.Used:0.######} are used{needs}. It resets at {reset} (UTC {Lower(budget.Window)}).");
    }

    /// <summary>Returns the budget that has no room, for the error response.</summary>
    public static BudgetExcess ExcessOf(BudgetRefusal refusal)
    {
        var b = refusal.Budget;
        return new BudgetExcess(b.Id, BudgetView.TextOf(b.Scope), b.Target, BudgetView.TextOf(b.Unit),
            BudgetView.TextOf(b.Window), b.Limit, Math.Round(refusal.State.Used, 6), refusal.State.End);
    }

    /// <summary>Returns the unit of a budget, in words.</summary>
    public static string UnitOf(Budget budget, string currency) => budget.Unit switch
    {
        BudgetUnit.Requests => "requests",
        BudgetUnit.Tokens => "tokens",
        BudgetUnit.WorkerSeconds => "worker-seconds",
        _ => currency.Length > 0 ? currency : "money",
    };

    private static string Of(Budget budget) =>
        budget.Scope == BudgetScope.Gateway ? "the gateway" : $"{Lower(budget.Scope)} {budget.Target}";

    private static string Lower(Enum value) => value.ToString().ToLowerInvariant();
}
