using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Tests.Tokens;

/// <summary>Tests the costs that make the queue fair by tokens.</summary>
public sealed class TokenCostsTest
{
    [Fact]
    public void A_flow_pays_for_the_tokens_of_its_requests()
    {
        var costs = new TokenCosts();
        Assert.Equal(2, costs.Weigh("e", "large", 2));
        for (var i = 0; i < 50; i++)
        {
            costs.Record("e", "large", 4000);
            costs.Record("e", "small", 500);
        }

        Assert.Equal(0.25, costs.Weigh("e", "large", 1));
        Assert.Equal(2, costs.Weigh("e", "small", 1));
        Assert.Equal(6, costs.Weigh("e", "small", 3));
        Assert.Equal(1, costs.Weigh("other", "large", 1));
        // A flow without requests costs the mean of the endpoint.
        Assert.InRange(costs.Weigh("e", "new", 1), 0.25, 1);
    }

    [Theory]
    [InlineData(1000, 1)]
    [InlineData(2000, 2)]
    [InlineData(1050, 1)]
    [InlineData(0.5, 0.01)]
    [InlineData(1e9, 100)]
    public void A_cost_is_rounded_and_bounded(double tokens, double cost) =>
        Assert.Equal(cost, TokenCosts.Cost(tokens), 6);
}
