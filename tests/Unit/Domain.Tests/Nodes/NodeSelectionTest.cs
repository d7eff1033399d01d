using Sluice.Domain.Declarations;
using Sluice.Domain.Nodes;

namespace Sluice.Domain.Tests.Nodes;

/// <summary>Which nodes the leader uses, and which one starts a worker without GPUs.</summary>
public sealed class NodeSelectionTest
{
    private static readonly Template BuiltIn = new() { Name = "t" };
    private static readonly HashSet<string> None = [];

    [Fact]
    public void Only_offered_nodes_of_other_machines_are_used_and_one_gateway_of_each()
    {
        var own = Node("a", "a1", workers: 1) with { Address = null };
        FleetNode[] announced =
        [
            Node("b", "b2", workers: 2), Node("b", "b1", workers: 1), Node("a", "a2", workers: 4),
            Node("c", "c1") with { Address = null }, own with { Workers = 9 },
        ];
        var usable = NodeSelection.SelectUsable(own, announced);
        // The workers of all gateways of a machine count.
        Assert.Equal([("a1", 5), ("b1", 3)], usable.Select(n => (n.HostId, n.Workers)));
    }

    [Fact]
    public void The_node_with_the_fewest_workers_for_its_processors_is_chosen()
    {
        FleetNode[] nodes = [Node("a", "a", 2, cpus: 4), Node("b", "b", 5, cpus: 16), Node("c", "c", 1, cpus: 2)];
        Assert.Equal("b", NodeSelection.Choose(nodes, BuiltIn, None).HostId);
        Assert.Equal("a", NodeSelection.Choose(nodes, BuiltIn, new HashSet<string> { "b" }).HostId);
    }

    [Fact]
    public void Of_equal_nodes_the_leaders_own_one_is_first_and_then_the_first_by_name()
    {
        FleetNode[] nodes = [Node("z", "z"), Node("a", "a"), Node("b", "b")];
        Assert.Equal("z", NodeSelection.Choose(nodes, BuiltIn, None).HostId);
        nodes[0] = nodes[0] with { Workers = 1 };
        Assert.Equal("a", NodeSelection.Choose(nodes, BuiltIn, None).HostId);
        // The leader's own host is never avoided.
        Assert.Equal("z", NodeSelection.Choose(nodes, BuiltIn, new HashSet<string> { "z", "a", "b" }).HostId);
    }

    [Fact]
    public void Only_nodes_that_can_run_the_template_count()
    {
        var (image, command) = (BuiltIn with { Image = "vllm" }, BuiltIn with { Command = ["vllm"] });
        FleetNode[] nodes = [Node("a", "a", 9), Node("b", "b") with { RunsContainers = true }];
        Assert.Equal("b", NodeSelection.Choose(nodes, image, None).HostId);
        Assert.Equal("a", NodeSelection.Choose(nodes, command, None).HostId);
        Assert.Equal("b", NodeSelection.Choose(nodes, BuiltIn, None).HostId);
        // No node can run it: the leader's host reports why.
        Assert.Equal("a", NodeSelection.Choose([nodes[0]], image, None).HostId);
    }

    internal static FleetNode Node(string name, string hostId, int workers = 0, int cpus = 4) =>
        new() { Name = name, HostId = hostId, Address = "10.0.0.1", Workers = workers, Cpus = cpus };
}
