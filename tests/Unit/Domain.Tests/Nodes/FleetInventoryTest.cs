using System.Text.Json;
using Sluice.Domain.Gpus;
using Sluice.Domain.Nodes;
using Sluice.Domain.Placement;
using GpuFleet = Sluice.Domain.Tests.Gpus.Fleet;

namespace Sluice.Domain.Tests.Nodes;

/// <summary>The GPUs of several gateways in one inventory.</summary>
public sealed class FleetInventoryTest
{
    private static readonly HashSet<string> None = [];

    [Fact]
    public void Each_gpu_counts_once_and_its_node_names_the_host_that_starts_workers_there()
    {
        var a = Node("a", """{ "gpus": [{ "name": "Tesla T4", "uuid": "GPU-1" }] }""");
        var b = Node("b", """
            { "gpus": [{ "name": "NVIDIA H200", "uuid": "GPU-2" }, { "name": "NVIDIA H200", "uuid": "GPU-3" }],
              "links": [{ "gpus": [0, 1], "way": "NV" }] }
            """);
        // A second gateway of machine b in a container has another name there, and sees the same GPUs.
        var fleet = FleetInventory.Merge([a, b, b with { Name = "c", HostId = "host-c" }], None);
        Assert.Equal([("GPU-1", "a"), ("GPU-2", "b"), ("GPU-3", "b")],
            fleet.Inventory.Gpus.Select(g => (g.Uuid, g.Node)));
        Assert.Equal(("host-a", "host-b"), (fleet.Hosts["a"], fleet.Hosts["b"]));
        Assert.Equal(LinkKind.NV, Assert.Single(fleet.Inventory.Links).Kind);
    }

    [Fact]
    public void A_refusal_names_the_nodes_of_the_devices_and_of_the_errors()
    {
        FleetNode[] nodes = [Node("a", Of("Tesla T4", "GPU-1")), Node("b", Of("Tesla T4", "GPU-2"))];
        var fleet = FleetInventory.Merge(nodes, None);
        var used = GpuFleet.Has(fleet.Inventory, "e", 0, 1);
        var refusal = PlacementPlanner.Place(
            fleet.Inventory, [used], [GpuFleet.Request("f", new GpuRequirements())])[0].Refusal!;
        Assert.Contains("GPU 0 of a is used by e-1, GPU 0 of b is used by e-1", refusal.Reason,
            StringComparison.Ordinal);

        FleetNode[] broken = [Empty("a", "no driver"), Empty("b", "nvidia-smi is not installed")];
        var never = PlacementPlanner.WhyNever(
            FleetInventory.Merge(broken, None).Inventory, new GpuRequirements())!;
        Assert.Equal("No GPU was found (a: no driver; b: nvidia-smi is not installed)", never.Reason);
    }

    [Fact]
    public void The_gpus_of_an_avoided_host_are_not_allocated_but_the_request_waits_for_them()
    {
        FleetNode[] nodes = [Empty("a", "none"), Node("b", Of("Tesla T4", "GPU-1"))];
        var fleet = FleetInventory.Merge(nodes, new HashSet<string> { "host-b" }).Inventory;
        Assert.Equal("now: gpu", GpuFleet.Gets(fleet, new GpuRequirements()));
        Assert.Equal("0", GpuFleet.Gets(FleetInventory.Merge(nodes, None).Inventory, new GpuRequirements()));
    }

    [Fact]
    public void A_single_node_keeps_its_inventory()
    {
        var node = Node("a", GpuFleet.Mixed);
        Assert.Same(node.Gpus, FleetInventory.Merge([node], None).Inventory);
    }

    [Fact]
    public void An_announcement_keeps_everything_that_placement_uses()
    {
        var node = Node("a", GpuFleet.Mixed);
        var json = JsonSerializer.Serialize(node, FleetNodeJson.Default.FleetNode);
        var read = JsonSerializer.Deserialize(json, FleetNodeJson.Default.FleetNode)!;
        Assert.Equal(JsonSerializer.Serialize(node.Gpus), JsonSerializer.Serialize(read.Gpus));
        Assert.Equal(node with { Gpus = read.Gpus }, read);
    }

    private static string Of(string name, string uuid) =>
        $$"""{ "gpus": [{ "name": "{{name}}", "uuid": "{{uuid}}" }] }""";

    private static FleetNode Node(string name, string gpus) =>
        NodeSelectionTest.Node(name, $"host-{name}") with { Gpus = GpuFleet.Of(gpus).OnNode(name) };

    private static FleetNode Empty(string name, string why) =>
        NodeSelectionTest.Node(name, $"host-{name}") with { Gpus = Inventory.None(why) };
}
