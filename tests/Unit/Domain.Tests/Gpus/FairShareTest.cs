using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>The order of endpoints when there are not enough devices for all.</summary>
public sealed class FairShareTest
{
    private static readonly Inventory Four = Fleet.Of("""{ "gpus": [{ "name": "NVIDIA L4", "count": 4 }] }""");

    [Fact]
    public void A_higher_priority_is_placed_first_in_any_order_of_requests()
    {
        var placed = PlacementPlanner.Place(Four, [], [.. Many("low", 4), .. Many("high", 3, priority: 1)]);
        Assert.Equal((1, 3), (Granted(placed, "low"), Granted(placed, "high")));
    }

    [Fact]
    public void Equal_priorities_share_equally_including_allocated_devices()
    {
        Assert.Equal((2, 2), Both(PlacementPlanner.Place(Four, [], [.. Many("a", 4), .. Many("b", 4)])));
        Assert.Equal((0, 2),
            Both(PlacementPlanner.Place(Four, [Fleet.Has(Four, "a", 0, 1)], [.. Many("a", 4), .. Many("b", 4)])));
    }

    [Fact]
    public void A_weight_of_three_gets_three_of_four() =>
        Assert.Equal((3, 1), Both(PlacementPlanner.Place(Four, [], [.. Many("a", 4, weight: 3), .. Many("b", 4)])));

    [Fact]
    public void An_endpoint_below_its_share_leaves_the_rest_to_others() =>
        Assert.Equal((3, 1), Both(PlacementPlanner.Place(Four, [], [.. Many("a", 4), .. Many("b", 1)])));

    [Fact]
    public void Shares_count_memory_and_not_pods()
    {
        var inventory = Fleet.Of("""{ "gpus": [{ "name": "NVIDIA L4", "count": 2 }] }""");
        var share = new GpuRequirements { Share = new MemoryShare(25, 0) };
        var placed = PlacementPlanner.Place(inventory, [], [.. Many("a", 8, share), .. Many("b", 2)]);
        Assert.Equal((4, 1), Both(placed));
    }

    [Fact]
    public void A_waiting_request_for_several_reserves_free_devices_against_lower_priorities_only()
    {
        var running = new[] { Fleet.Has(Four, "other", 0, 1) };
        var big = Fleet.Request("big", new GpuRequirements { Count = 3 }, priority: 1);
        var placed = PlacementPlanner.Place(Four, running, [big, .. Many("low", 1)]);
        Assert.Equal(["now: count", "now: gpu"], placed.Select(p => Fleet.Shown(Four, p)));
        Assert.Contains("is reserved for big, which waits for several GPUs", placed[1].Refusal!.Reason,
            StringComparison.Ordinal);
        Assert.Equal(1, Granted(PlacementPlanner.Place(Four, running, [big, .. Many("equal", 1, priority: 1)]), "equal"));
        var impossible = big with { Needs = new GpuRequirements { Count = 9 } };
        Assert.Equal(1, Granted(PlacementPlanner.Place(Four, running, [impossible, .. Many("low", 1)]), "low"));
    }

    [Fact]
    public void A_refusal_contains_the_pods_that_use_the_devices()
    {
        var refusal =
            PlacementPlanner.Place(Four, [Fleet.Has(Four, "a", 0, 1), Fleet.Has(Four, "b", 2, 3)], Many("c", 1))[0].Refusal!;
        Assert.Equal("No free capacity: required 1 GPU, 4 match, 0 free: "
            + "GPU 0 is used by a-1, GPU 1 is used by a-1, GPU 2 is used by b-1, GPU 3 is used by b-1", refusal.Reason);
    }

    private static List<GpuRequest> Many(
        string endpoint, int count, GpuRequirements? needs = null, int priority = 0, int weight = 1)
    {
        needs ??= new GpuRequirements();
        return [.. Enumerable.Range(0, count)
            .Select(n => Fleet.Request(endpoint, needs, priority, weight, $"{endpoint}{n}"))];
    }

    private static int Granted(IReadOnlyList<Placed> placed, string endpoint) =>
        placed.Count(p => p.Request.EndpointId == endpoint && p.Refusal is null);

    private static (int, int) Both(IReadOnlyList<Placed> placed) => (Granted(placed, "a"), Granted(placed, "b"));
}
