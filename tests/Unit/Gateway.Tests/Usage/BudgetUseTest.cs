using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Tests.Usage;

/// <summary>What the metrics show of budgets.</summary>
public sealed class BudgetUseTest
{
    [Fact]
    public void Budgets_are_counted_by_scope_and_state()
    {
        BudgetUse[] all =
        [
            New(BudgetScope.Key, 79), New(BudgetScope.Key, 80), New(BudgetScope.Key, 99), New(BudgetScope.Key, 100),
            New(BudgetScope.Gateway, 300), New(BudgetScope.Tag, 0),
        ];
        Assert.Equal(
            [
                ("gateway", "used_up", 1), ("key", "nearly_used", 2), ("key", "open", 1), ("key", "used_up", 1),
                ("tag", "open", 1),
            ],
            BudgetUse.Count(all).Select(c => (c.Scope, c.State, (int)c.Count)).Order());
    }

    [Fact]
    public void Only_the_budgets_of_which_the_most_is_used_have_series()
    {
        var found = BudgetUse.FindLargest(Enumerable.Range(0, 250).Select(used => New(BudgetScope.Key, used)));
        Assert.Equal(Enumerable.Range(150, 100).Reverse(), found.Select(u => (int)u.State.Used));
    }

    private static BudgetUse New(BudgetScope scope, double used) =>
        new(new Budget { Id = "b", Scope = scope, Limit = 100 }, new BudgetState(used, default, default));
}
