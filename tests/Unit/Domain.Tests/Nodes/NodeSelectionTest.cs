using Sluice.Domain.Declarations;
using Sluice.Domain.Nodes;

namespace Sluice.Domain.Tests.Nodes;

/// <summary>Which nodes the leader uses, and which one starts a worker without GPUs.</summary>
public sealed class NodeSelectionTest
{
    private static readonly Template BuiltIn = new() { Name = "t" };
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddDays(1);

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
        Assert.Equal("b", Choose(nodes, BuiltIn));
        Assert.Equal("a", Choose(nodes, BuiltIn, "b"));
    }

    [Fact]
    public void Of_equal_nodes_the_leaders_own_one_is_first_and_then_the_first_by_name()
    {
        FleetNode[] nodes = [Node("z", "z"), Node("a", "a"), Node("b", "b")];
        Assert.Equal("z", Choose(nodes, BuiltIn));
        nodes[0] = nodes[0] with { Workers = 1 };
        Assert.Equal("a", Choose(nodes, BuiltIn));
        // The leader's own host is never avoided.
        Assert.Equal("z", Choose(nodes, BuiltIn, "z", "a", "b"));
    }

    [Fact]
    public void Only_nodes_that_can_run_the_template_count()
    {
        var (image, command) = (BuiltIn with { Image = "vllm" }, BuiltIn with { Command = ["vllm"] });
        FleetNode[] nodes = [Node("a", "a", 9), Node("b", "b") with { RunsContainers = true }];
        Assert.Equal("b", Choose(nodes, image));
        Assert.Equal("a", Choose(nodes, command));
        Assert.Equal("b", Choose(nodes, BuiltIn));
        // No node can run it: the leader's host reports why.
        Assert.Equal("a", Choose([nodes[0]], image));
    }

    [Fact]
    public void A_node_without_recent_failed_starts_is_preferred_and_else_the_one_that_failed_first()
    {
        FleetNode[] nodes = [Node("a", "a", workers: 3), Node("b", "b", workers: 0), Node("c", "c", workers: 2)];
        var failures = NodeFailures.None.WithFailure("b", Now);
        Assert.Equal("c", ChooseAt(Now));
        Assert.Equal("c", ChooseAt(Now + NodeFailures.RecentFor - TimeSpan.FromSeconds(1)));
        // Its fault may have been repaired since.
        Assert.Equal("b", ChooseAt(Now + NodeFailures.RecentFor));

        failures = failures.WithFailure("c", Now.AddSeconds(1));
        Assert.Equal("a", ChooseAt(Now.AddSeconds(1)));
        failures = failures.WithFailure("a", Now.AddSeconds(2));
        Assert.Equal("b", ChooseAt(Now.AddSeconds(2)));
        failures = failures.WithFailure("b", Now.AddSeconds(3));
        Assert.Equal("c", ChooseAt(Now.AddSeconds(3)));
        Assert.Equal("a", ChooseAt(Now.AddSeconds(3), avoided: "c"));

        string ChooseAt(DateTimeOffset at, string avoided = "") =>
            NodeSelection.Choose(nodes, BuiltIn, new HashSet<string> { avoided }, failures, at).HostId;
    }

    [Fact]
    public void Failures_end_with_a_worker_that_became_ready_or_after_their_time()
    {
        var later = Now.AddMinutes(6);
        var failures = NodeFailures.None.WithFailure("a", Now).WithFailure("b", later);
        Assert.Equal(["a", "b"], failures.Hosts(later).Order());
        Assert.Equal((Now, later), (failures.LastOf("a", later), failures.LastOf("b", later)));
        Assert.Equal(["b"], failures.Hosts(Now + NodeFailures.RecentFor));
        Assert.Null(failures.LastOf("a", Now + NodeFailures.RecentFor));
        Assert.Equal(["a"], failures.Without("b").Hosts(later));
        Assert.Empty(failures.Without("b").Without("a").Without("c").Hosts(later));
        Assert.Empty(NodeFailures.None.Hosts(Now));
    }

    private static string Choose(IReadOnlyList<FleetNode> nodes, Template template, params string[] avoided) =>
        NodeSelection.Choose(nodes, template, avoided.ToHashSet(), NodeFailures.None, Now).HostId;

    internal static FleetNode Node(string name, string hostId, int workers = 0, int cpus = 4) =>
        new() { Name = name, HostId = hostId, Address = "10.0.0.1", Workers = workers, Cpus = cpus };
}
