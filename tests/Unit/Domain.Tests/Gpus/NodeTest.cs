using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>An inventory of several nodes: a placement names the node of its devices.</summary>
public sealed class NodeTest
{
    private static readonly Inventory Two = Fleet.Of("""
        { "gpus": [{ "name": "NVIDIA H200", "count": 2, "node": "a" },
            { "name": "NVIDIA H200", "count": 4, "node": "b" }] }
        """);

    [Fact]
    public void Gpus_without_a_node_are_on_the_node_of_their_source()
    {
        var inventory = Fleet.Of("""{ "gpus": [{ "name": "Tesla T4" }, { "name": "Tesla T4", "node": "b" }] }""");
        Assert.Equal(["this-machine", "b"], inventory.OnNode("this-machine").Gpus.Select(g => g.Node));
    }

    [Theory]
    [InlineData(1, "a")]
    [InlineData(2, "a")]
    [InlineData(3, "b")]
    public void A_placement_names_the_node_of_all_its_devices(int count, string node)
    {
        var placed = Assert.Single(Place(new GpuRequirements { Count = count }));
        Assert.Equal(node, placed.Node);
        Assert.All(placed.Uuids, u => Assert.Equal(node, Two.Gpus.Single(g => g.Uuid == u).Node));
    }

    [Fact]
    public void A_refused_request_has_no_node() =>
        Assert.Null(Assert.Single(Place(new GpuRequirements { Count = 5 })).Node);

    [Fact]
    public void Nodes_may_use_the_same_indexes()
    {
        var numbered = Two with { Gpus = [.. Two.Gpus.Select((g, i) => g with { Index = i < 2 ? i : i - 2 })] };
        var request = Fleet.Request("e", new GpuRequirements { Count = 3 });
        Assert.Equal("b", Assert.Single(PlacementPlanner.Place(numbered, [], [request])).Node);
    }

    [Fact]
    public void The_latest_of_several_drivers_is_a_version_and_not_a_text()
    {
        var drivers = Fleet.Of("""
            { "gpus": [{ "name": "NVIDIA H200", "driver": "99.1" }, { "name": "NVIDIA H200", "driver": "535.54" }] }
            """);
        var refusal = PlacementPlanner.WhyNever(drivers, new GpuRequirements { MinDriver = "580" });
        Assert.Equal("would fit: at most 535.54", refusal?.WouldFit);
        Assert.Equal("580.95.05", DriverVersion.Latest(["580.65", "580.95.05", "99", null, "unknown"]));
        Assert.Null(DriverVersion.Latest([null]));
    }

    private static IReadOnlyList<Placed> Place(GpuRequirements needs) =>
        PlacementPlanner.Place(Two, [], [Fleet.Request("e", needs)]);
}
