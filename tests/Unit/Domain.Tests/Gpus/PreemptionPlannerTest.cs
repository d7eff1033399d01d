using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Idle workers are stopped only for endpoints of higher priority.</summary>
public sealed class PreemptionPlannerTest
{
    private static readonly Inventory Four = Fleet.Of("""{ "gpus": [{ "name": "NVIDIA L4", "count": 4 }] }""");
    private static readonly IReadOnlyList<GpuAllocation> Full =
        [.. Enumerable.Range(0, 4).Select(n => new GpuAllocation($"p{n}", $"e{n}", [new HeldDevice(Four.Gpus[n].Uuid)]))];

    [Theory]
    [InlineData(1, 5, "p1:2 p2:1 p3:3", "p2")] // The lowest priority goes.
    [InlineData(2, 5, "p1:2 p2:1 p3:3", "p1 p2")] // As few as suffice.
    [InlineData(3, 5, "p1:2 p2:1", "")] // All of them would not do: none goes.
    [InlineData(1, 2, "p1:2 p3:3", "")] // Equal and higher ones stay.
    [InlineData(1, 5, "", "")]
    public void The_fewest_idle_workers_of_the_lowest_priority_are_chosen(
        int count, int priority, string spare, string gone)
    {
        var pods = spare.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(p => new SparePod(p[..2], "e", p[3] - '0')).ToList();
        var chosen = PreemptionPlanner.Choose(Four, Full, Fleet.Request("high", new GpuRequirements { Count = count }, priority), pods);
        Assert.Equal(gone, string.Join(' ', chosen.Select(p => p.PodId).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void No_worker_is_chosen_if_stopping_workers_are_sufficient() =>
        Assert.Empty(PreemptionPlanner.Choose(Four, [.. Full.Skip(1)], Fleet.Request("high", new GpuRequirements(), 5),
            [new SparePod("p1", "e", 0)]));
}
