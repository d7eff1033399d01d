using Sluice.ControlPlane.Machine;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Parsing the output of nvidia-smi.</summary>
public sealed class NvidiaSmiParserTest
{
    private const string Head =
        "index, uuid, name, driver_version, memory.total [MiB], memory.used [MiB], compute_cap, compute_mode, "
        + "mig.mode.current, ecc.errors.uncorrected.volatile.total, retired_pages.pending, "
        + "remapped_rows.pending, remapped_rows.failure\n";

    [Fact]
    public void Gpus_are_parsed_by_column_name()
    {
        var gpus = NvidiaSmiParser.Gpus(Head + """
            0, GPU-5c89852c, NVIDIA H200, 580.159, 143771, 512, 9.0, Default, Disabled, 0, No, No, No
            1, GPU-7, Tesla V100-SXM2-16GB, 580.159, 16384, 0, 7.0, Exclusive_Process, [N/A], 0, [N/A], [N/A], [N/A]
            """);
        Assert.Equal(new Gpu
        {
            Index = 0, Uuid = "GPU-5c89852c", Name = "NVIDIA H200", Driver = "580.159",
                MemoryMiB = 143771, UsedMiB = 512,
            ComputeCapability = new(9, 0), Slices = gpus[0].Slices,
        }, gpus[0]);
        Assert.Equal((ComputeMode.ExclusiveProcess, false, null),
            (gpus[1].ComputeMode, gpus[1].MigEnabled, gpus[1].Fault));
    }

    [Fact]
    public void The_utilization_is_parsed_if_the_driver_reports_it()
    {
        const string head = "index, uuid, name, driver_version, memory.total [MiB], memory.used [MiB], "
            + "utilization.gpu [%]\n";
        var gpus = NvidiaSmiParser.Gpus(head + """
            0, GPU-1, NVIDIA H200, 580.159, 143771, 512, 37
            1, GPU-2, NVIDIA H200, 580.159, 143771, 512, [N/A]
            """);
        Assert.Equal([37, null], gpus.Select(g => g.Utilization));
        Assert.Contains("utilization.gpu", NvidiaSmiParser.Query, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[N/A]")]
    [InlineData("[Not Supported]")]
    [InlineData("[Insufficient Permissions]")]
    public void Unknown_values_come_from_the_catalog_or_stay_unknown(string field)
    {
        var untold = string.Join(", ", Enumerable.Repeat(field, 10));
        var gpu = Assert.Single(NvidiaSmiParser.Gpus(Head + $"0, GPU-1, NVIDIA A100-SXM4-80GB, {untold}\n"));
        Assert.Equal((80 * 1024L, new ComputeCapability(8, 0), null, null, null),
            (gpu.MemoryMiB, gpu.ComputeCapability, gpu.UsedMiB, gpu.Driver, gpu.Fault));
    }

    [Theory]
    [InlineData("0, GPU-1, NVIDIA H100 80GB HBM3, 580, 81559, 0, 9.0, Default, Disabled, 2, No, No, No",
        "2 uncorrectable ECC errors")]
    [InlineData("0, GPU-1, NVIDIA H100 80GB HBM3, 580, 81559, 0, 9.0, Default, Disabled, 0, Yes, No, No", "retirement")]
    [InlineData("0, GPU-1, NVIDIA H100 80GB HBM3, 580, 81559, 0, 9.0, Default, Disabled, 0, No, Yes, No", "remapping")]
    [InlineData("0, GPU-1, NVIDIA H100 80GB HBM3, 580, 81559, 0, 9.0, Default, Disabled, 0, No, No, Yes",
        "replace the GPU")]
    [InlineData("0, GPU-1, NVIDIA H100 80GB HBM3, 580, ERR!, ERR!, ERR!, ERR!, ERR!, ERR!, ERR!, ERR!, ERR!",
        "the memory is 'ERR!'")]
    [InlineData("0, [Unknown Error], NVIDIA H100 80GB HBM3, 580, 81559, 0, 9.0, Default, Disabled, 0, No, No, No",
        "the UUID is '[Unknown Error]'")]
    public void A_fault_of_a_gpu_is_reported(string line, string expected) =>
        Assert.Contains(expected, Assert.Single(NvidiaSmiParser.Gpus(Head + line)).Fault!, StringComparison.Ordinal);

    [Fact]
    public void An_old_driver_reports_fewer_fields()
    {
        var gpu = Assert.Single(
            NvidiaSmiParser.Gpus("index, uuid, name, driver_version, memory.total [MiB], memory.used [MiB]\n"
                + "0, GPU-1, Tesla T4, 450.80.02, 15109, 3\n"));
        Assert.Equal((15109L, new ComputeCapability(7, 5), "450.80.02"),
            (gpu.MemoryMiB, gpu.ComputeCapability, gpu.Driver));
    }

    [Theory]
    [InlineData("No devices were found\n")]
    [InlineData("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")]
    [InlineData("")]
    [InlineData("0, GPU-1, no head before it, 580, 1, 1\n")]
    public void Lines_without_a_gpu_are_ignored(string said) => Assert.Empty(NvidiaSmiParser.Gpus(said));

    [Fact]
    public void Slices_are_parsed_with_their_gpu()
    {
        var slices = NvidiaSmiParser.Slices("""
            GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
              MIG 1g.10gb     Device  0: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000001)
              MIG 1g.10gb+me  Device  1: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000002)
            GPU 1: NVIDIA H200 (UUID: GPU-6c89852c-d268-c3f3-1b07-005d5ae1dc3f)
            GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-7c89852c-d268-c3f3-1b07-005d5ae1dc3f)
              MIG 1c.3g.40gb  Device  0: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000003)
            """);
        Assert.Equal(["1g.10gb", "1g.10gb+me"],
            slices["GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f"].Select(s => s.Profile.ToString()));
        Assert.Empty(slices["GPU-6c89852c-d268-c3f3-1b07-005d5ae1dc3f"]);
        Assert.Equal(new MigSlice("MIG-b9a7e2c1-0000-5000-8000-000000000003", new MigProfile(1, 3, 40, ""), 0),
            slices["GPU-7c89852c-d268-c3f3-1b07-005d5ae1dc3f"].Single());
    }

    [Theory]
    [InlineData("1g.10gb", 1, 1, 10, "")]
    [InlineData("1g.10gb+me", 1, 1, 10, "+me")]
    [InlineData("1g.24gb+me.all", 1, 1, 24, "+me.all")]
    [InlineData("2g.48gb-me+gfx", 2, 2, 48, "+gfx-me")]
    [InlineData("7g.278gb", 7, 7, 278, "")]
    [InlineData("2c.4g.20gb", 2, 4, 20, "")]
    public void Profiles_are_parsed_by_their_grammar(string text, int compute, int slices, int gb, string attributes) =>
        Assert.Equal(new MigProfile(compute, slices, gb, attributes), MigProfile.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("1g")]
    [InlineData("g.10gb")]
    [InlineData("0g.10gb")]
    [InlineData("3c.2g.10gb")]
    [InlineData("1g.10GB")]
    [InlineData("1g.10gb+")]
    public void An_invalid_profile_is_rejected(string text) => Assert.Null(MigProfile.Parse(text));

    [Fact]
    public void The_header_the_nics_and_the_affinities_of_a_topology_are_ignored()
    {
        var pairs = NvidiaSmiParser.Topology(Topologies.HgxH100Pair);
        Assert.Equal([(0, 1, LinkKind.NV, 18)], pairs);
        Assert.Equal(28, NvidiaSmiParser.Topology(Topologies.Dgx1).Count);
        Assert.Contains((0, 3, LinkKind.NV, 2), NvidiaSmiParser.Topology(Topologies.Dgx1));
        Assert.Contains((2, 6, LinkKind.NV, 1), NvidiaSmiParser.Topology(Topologies.Dgx1));
        Assert.Contains((0, 7, LinkKind.SYS, 0), NvidiaSmiParser.Topology(Topologies.Dgx1));
        Assert.Equal("0-1 NODE, 0-2 SYS, 0-3 SYS, 1-2 SYS, 1-3 SYS, 2-3 NODE", string.Join(", ",
            NvidiaSmiParser.Topology(Topologies.Epyc).Select(p => $"{p.A}-{p.B} {p.Kind}")));
        Assert.Empty(NvidiaSmiParser.Topology("\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t0-15\t0\t\tN/A\n"));
    }

    [Fact]
    public void Active_nvlinks_are_counted()
    {
        var links = NvidiaSmiParser.NvLinks("""
            GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-a)
            	 Link 0: 25 GB/s
            	 Link 1: 25 GB/s
            	 Link 2: <inactive>
            GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-b)
            	 Link 0: 26.562 GB/s
            """);
        Assert.Equal((new NvLinks(2, 25), new NvLinks(1, 26.562)), (links["GPU-a"], links["GPU-b"]));
    }

    [Theory]
    [InlineData("CC status: ON\n", "Confidential Compute GPUs Ready state: ready\n", ConfidentialState.Ready)]
    [InlineData("CC status: ON\n", "Confidential Compute GPUs Ready state: not-ready\n", ConfidentialState.NotReady)]
    [InlineData("CC status: OFF\n", "", ConfidentialState.Off)]
    [InlineData("No CC capable devices found.\n", "", ConfidentialState.Off)]
    public void The_state_of_confidential_computing_is_parsed(string feature, string ready, ConfidentialState state) =>
        Assert.Equal(state, NvidiaSmiParser.Confidential(feature, ready));

    [Fact]
    public void All_outputs_are_combined_into_one_inventory()
    {
        var gpus = NvidiaSmiParser.Gpus(Head + """
            0, GPU-a, NVIDIA H100 80GB HBM3, 580.95.05, 81559, 0, 9.0, Default, Disabled, 0, No, No, No
            1, GPU-b, NVIDIA H100 80GB HBM3, 580.95.05, 81559, 0, 9.0, Default, Enabled, 0, No, No, No
            """);
        var slices = NvidiaSmiParser.Slices(
            "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-b)\n  MIG 3g.40gb     Device  0: (UUID: MIG-1)\n");
        var inventory =
            NvidiaSmi.Combine(gpus, slices, NvidiaSmiParser.Topology(Topologies.HgxH100Pair), NvidiaSmiParser.NvLinks(""),
            ConfidentialState.NotReady);
        Assert.Equal([new GpuLink("GPU-a", "GPU-b", LinkKind.NV, 18)], inventory.Links);
        Assert.Equal("MIG-1", Assert.Single(inventory.Gpus[1].Slices).Uuid);
        Assert.All(inventory.Gpus, g => Assert.Contains("conf-compute -srs 1", g.Fault, StringComparison.Ordinal));
    }
}
