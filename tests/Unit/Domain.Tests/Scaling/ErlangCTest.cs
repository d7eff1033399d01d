using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Scaling;

/// <summary>Erlang's formula against known values.</summary>
public sealed class ErlangCTest
{
    [Theory]
    // offered, slots, probability of waiting; M/M/1 is the load itself, the others are from Erlang C tables
    [InlineData(0.5, 1, 0.5)]
    [InlineData(0.9, 1, 0.9)]
    [InlineData(1, 2, 1 / 3.0)]
    [InlineData(2, 3, 0.4444)]
    [InlineData(10, 14, 0.1741)]
    public void The_waiting_probability_equals_that_of_the_tables(double offered, int slots, double chance) =>
        Assert.Equal(chance, ErlangC.WaitsLonger(offered, slots, 0, 1), 3);

    [Fact]
    public void Too_few_slots_always_wait_and_no_load_never_waits() =>
        Assert.Equal((1, 0), (ErlangC.WaitsLonger(5, 5, 100, 1), ErlangC.WaitsLonger(0, 1, 0, 1)));

    [Fact]
    public void A_very_large_load_uses_the_square_root_rule() =>
        Assert.Equal(1_002_000, ErlangC.Slots(1_000_000, 1, 2, 0.05));

    [Theory]
    [InlineData(0.01)]
    [InlineData(1)]
    [InlineData(37.5)]
    [InlineData(2000)]
    public void Slots_are_the_minimum_that_meets_the_target(double offered)
    {
        var slots = ErlangC.Slots(offered, 1, 2, 0.05);
        Assert.True(ErlangC.WaitsLonger(offered, slots, 1, 2) <= 0.05);
        Assert.True(slots == 1 || ErlangC.WaitsLonger(offered, slots - 1, 1, 2) > 0.05);
    }
}
