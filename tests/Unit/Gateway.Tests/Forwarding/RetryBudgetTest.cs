using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests when a request that lost its worker is sent again.</summary>
public sealed class RetryBudgetTest
{
    private static readonly ForwardResult Beside = new(ForwardOutcome.WorkerLost) { WorkerBroke = true };
    private static readonly ForwardResult Alone = Beside with { WasAlone = true };
    private static readonly ForwardResult Unconnected = Beside with { Unseen = true };

    [Fact]
    public void Each_loss_counts_except_the_first_one_beside_other_work()
    {
        var budget = new RetryBudget(3, isRepeatable: false);
        var isolated = new List<bool>();
        for (var i = 0; i < 3; i++)
        {
            Assert.NotNull(budget.OnLost(Beside, 8, hasProgress: false));
            isolated.Add(budget.IsIsolated);
        }

        Assert.Null(budget.OnLost(Beside, 8, hasProgress: false));
        Assert.Equal([true, true, true], isolated);
    }

    [Fact]
    public void The_delay_grows_with_the_losses_that_count()
    {
        var budget = new RetryBudget(6, isRepeatable: false);
        Assert.Equal([0, 250, 500, 1000, 2000],
            Enumerable.Range(0, 5).Select(_ => budget.OnLost(Alone, 1, hasProgress: false)!.Value.TotalMilliseconds));
        Assert.Null(budget.OnLost(Alone, 1, hasProgress: false));
    }

    [Fact]
    public void Failed_connections_do_not_count()
    {
        var budget = new RetryBudget(2, isRepeatable: false);
        for (var i = 0; i < 50; i++) Assert.Equal(TimeSpan.Zero, budget.OnLost(Unconnected, 1, hasProgress: false));
        Assert.NotNull(budget.OnLost(Unconnected, 1, hasProgress: false));
        Assert.Null(budget.OnLost(Unconnected, 1, hasProgress: false));
    }

    [Fact]
    public void Text_is_isolated_only_for_its_last_attempt()
    {
        var budget = new RetryBudget(3, isRepeatable: true);
        var isolated = new List<bool>();
        for (var i = 0; i < 3; i++)
        {
            Assert.NotNull(budget.OnLost(Beside, 8, hasProgress: false));
            isolated.Add(budget.IsIsolated);
        }

        Assert.Null(budget.OnLost(Beside, 8, hasProgress: false));
        Assert.Equal([false, false, true], isolated);
    }

    [Fact]
    public void A_stream_with_new_parts_has_all_attempts_again_up_to_a_limit()
    {
        var budget = new RetryBudget(3, isRepeatable: true);
        for (var i = 0; i < 32; i++)
        {
            Assert.NotNull(budget.OnLost(Beside, 8, hasProgress: false));
            Assert.NotNull(budget.OnLost(Beside, 8, hasProgress: false));
            Assert.Equal(TimeSpan.Zero, budget.OnLost(Beside, 8, hasProgress: true));
            Assert.False(budget.IsIsolated);
        }

        Assert.Null(budget.OnLost(Beside, 8, hasProgress: true));
    }

    [Fact]
    public void One_attempt_is_one_attempt()
    {
        Assert.Null(new RetryBudget(1, isRepeatable: false).OnLost(Beside, 8, hasProgress: false));
        Assert.Null(new RetryBudget(1, isRepeatable: true).OnLost(Beside, 8, hasProgress: false));
        Assert.Null(new RetryBudget(1, isRepeatable: true).OnLost(Beside, 8, hasProgress: true));
    }
}
