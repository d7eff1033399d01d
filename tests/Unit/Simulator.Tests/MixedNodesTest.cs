using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Simulator.Tests;

/// <summary>Tests placement and scaling on 100 nodes; each placement is checked by other code.</summary>
public sealed class MixedNodesTest
{
    [Fact]
    public void On_100_nodes_no_device_has_two_users_and_what_never_fits_is_told_from_what_must_wait()
    {
        var nodes = new MixedNodes(TimeSpan.FromMinutes(2));
        nodes.Run();
        Assert.Equal(100, nodes.Size.Nodes);
        Assert.Equal(MixedNodes.Impossible.Order(), nodes.SaidNever.Order());
        // The demand is larger than the fleet at times, otherwise the test shows little.
        Assert.True(nodes.NoCapacity > 0);
        Assert.True(nodes.Placer.MostInUse["NVIDIA H100 80GB HBM3"] > 64);
    }

    [Fact]
    public void The_check_finds_a_device_with_two_users_and_one_that_does_not_fit()
    {
        var l4 = new Gpu { Index = 0, Uuid = "a", Name = "NVIDIA L4", Node = "one", MemoryMiB = 24 * 1024 };
        var other = l4 with { Uuid = "b", Node = "two" };
        var audit = new PlacementAudit(new Inventory { Gpus = [l4, other], Source = "test" });
        audit.Take("pod 1", new GpuRequirements(), [new HeldDevice("a")]);
        Fails("which another pod has", "a", new GpuRequirements());
        Fails("expected H100", "b", new GpuRequirements { Types = ["H100"] });
        Fails("bytes", "b", new GpuRequirements { MinMemory = 40L << 30 });
        Fails("no slice", "b", new GpuRequirements { Mig = MigProfile.Parse("1g.10gb") });
        Fails("expected 2", "b", new GpuRequirements { Count = 2 });
        audit.Return("pod 1");
        Fails("on several nodes", "a b", new GpuRequirements { Count = 2 });
        audit.Take("pod 2", new GpuRequirements(), [new HeldDevice("a")]);

        void Fails(string reason, string devices, GpuRequirements needs) => Assert.Contains(
            reason,
            Assert.Throws<InvalidOperationException>(
                () => audit.Take("pod", needs, [.. devices.Split(' ').Select(d => new HeldDevice(d))])).Message,
            StringComparison.Ordinal);
    }
}
