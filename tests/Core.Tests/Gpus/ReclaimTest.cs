using Sluice.Core.Gpus;

namespace Sluice.Core.Tests.Gpus;

/// <summary>Idle workers make room for endpoints of higher priority, and for no others.</summary>
public sealed class ReclaimTest
{
    private static readonly Inventory Four = Fleet.Of("""{ "gpus": [{ "name": "NVIDIA L4", "count": 4 }] }""");
    private static readonly IReadOnlyList<GpuHolding> Full =
        [.. Enumerable.Range(0, 4).Select(n => new GpuHolding($"p{n}", $"e{n}", [new HeldDevice(Four.Gpus[n].Uuid)]))];

    [Theory]
    [InlineData(1, 5, "p1:2 p2:1 p3:3", "p2")] // The lowest priority goes.
    [InlineData(2, 5, "p1:2 p2:1 p3:3", "p1 p2")] // As few as suffice.
    [InlineData(3, 5, "p1:2 p2:1", "")] // All of them would not do: none goes.
    [InlineData(1, 2, "p1:2 p3:3", "")] // Equal and higher ones stay.
    [InlineData(1, 5, "", "")]
    public void The_fewest_idle_workers_of_the_lowest_priority_go(int count, int priority, string spare, string gone)
    {
        var pods = spare.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(p => new SparePod(p[..2], "e", p[3] - '0')).ToList();
        var chosen = Reclaim.Choose(Four, Full, Fleet.Wish("high", new GpuNeeds { Count = count }, priority), pods);
        Assert.Equal(gone, string.Join(' ', chosen.Select(p => p.PodId).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Nobody_goes_where_what_leaves_already_is_enough() =>
        Assert.Empty(Reclaim.Choose(Four, [.. Full.Skip(1)], Fleet.Wish("high", new GpuNeeds(), 5), [new SparePod("p1", "e", 0)]));
}
