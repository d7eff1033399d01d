using Sluice.Domain.Gpus;
using Sluice.Domain.Usage;
using Sluice.Domain.UserPods;
using Sluice.Gateway.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests the cost of a pod with the dated prices, and which measurement is shown.</summary>
public sealed class UserPodFiguresTest
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

    private static readonly PriceTable Prices = new("EUR",
    [
        new Price("cpu", Now.AddDays(-9), 0.2), new Price("cpu", Now.AddDays(-1), 0.1),
        new Price("cpu", Now.AddDays(1), 7), new Price("L4", Now.AddDays(-9), 0.8),
    ]);

    private static readonly Inventory Inventory = new()
    {
        Gpus =
        [
            new Gpu { Index = 0, Uuid = "GPU-1", Name = "NVIDIA L4", MemoryMiB = 20_000 },
            new Gpu { Index = 1, Uuid = "GPU-2", Name = "NVIDIA L4", MemoryMiB = 20_000 },
            new Gpu { Index = 2, Uuid = "GPU-3", Name = "NVIDIA H200", MemoryMiB = 140_000 },
        ],
    };

    private static readonly UserPodState Running = new() { Status = UserPodStatus.Running };

    [Fact]
    public void A_pod_costs_the_price_of_today_for_its_devices()
    {
        Assert.Equal(0.1, Cost(Running));
        Assert.Equal(0.1, Cost(Running with { Status = UserPodStatus.Starting }));
        Assert.Equal(0.8, Cost(Running with { Devices = ["GPU-1"] }));
        Assert.Equal(1.6, Cost(Running with { Devices = ["GPU-1", "GPU-2"] }));
        Assert.Equal(0.2, Cost(Running with { Devices = ["GPU-1"], ShareMiB = 5000 }));
    }

    [Fact]
    public void A_pod_that_holds_nothing_costs_nothing_and_one_without_a_price_has_no_cost()
    {
        Assert.Equal(0, Cost(new UserPodState()));
        Assert.Equal(0, Cost(Running with { Status = UserPodStatus.Exited }));
        // Its image is pulled, and it has its GPU.
        Assert.Equal(0.8, Cost(new UserPodState { Devices = ["GPU-2"] }));
        Assert.Null(Cost(Running with { Devices = ["GPU-3"] }));
        Assert.Null(Cost(Running with { Devices = ["GPU-unknown"] }));
        Assert.Null(Cost(Running, PriceTable.Empty));
        Assert.Null(Figures(PriceTable.Empty, Now).Currency);
        Assert.Equal("EUR", Figures(Prices, Now).Currency);
    }

    [Fact]
    public void Only_a_pod_that_runs_has_a_utilization_and_only_a_current_one()
    {
        Assert.Equal(50, Figures(Prices, Now).UtilizationOf(Entry(Running))!.MemoryPercent);
        Assert.Null(Figures(Prices, Now).UtilizationOf(Entry(Running with { Status = UserPodStatus.Exited })));
        Assert.Null(Figures(Prices, Now.AddMinutes(-1)).UtilizationOf(Entry(Running)));
    }

    private static double? Cost(UserPodState state, PriceTable? prices = null) =>
        Figures(prices ?? Prices, Now).CostOf(Entry(state));

    private static UserPodFigures Figures(PriceTable prices, DateTimeOffset measured) => new(prices, Inventory,
        new Dictionary<string, UserPodUtilization>
        {
            ["p"] = new() { At = measured, MemoryPercent = 50 },
        }, Now);

    private static UserPodEntry Entry(UserPodState state) => new(
        new UserPod { Id = "p", Spec = new UserPodSpec { Name = "n" }, Owner = "key", CreatedAt = Now }, state, "node");
}
