using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Placement as tables: one row for each rule of the documentation.</summary>
public sealed class PlacementPlannerTest
{
    public static TheoryData<string, GpuRequirements, string> OnAMixedFleet => new()
    {
        // 0 V100, 1-2 T4, 3-4 A100 (NVLink), 5 L40S, 6 H100, 7 H200 with the slices 2 x 1g.18gb and 2g.35gb, 8 B200.
        { "the smallest matching GPU, the first among equals", new GpuRequirements(), "0" },
        { "the first type with a free GPU", new GpuRequirements { Types = ["H100", "A100"] }, "6" },
        { "the next type if the first does not exist", new GpuRequirements { Types = ["GB200", "A100"] }, "3" },
        { "a pool", new GpuRequirements { Types = ["ADA_48_PRO"] }, "5" },
        { "a name as reported by nvidia-smi", new GpuRequirements { Types = ["NVIDIA B200"] }, "8" },
        { "fp16 from 7.0 on", new GpuRequirements { Precision = Precision.Fp16 }, "0" },
        { "CUDA 13 from 7.5 on", new GpuRequirements { Cuda = 13 }, "1" },
        { "bf16 from 8.0 on: the L40S has less memory than the A100",
            new GpuRequirements { Precision = Precision.Bf16 }, "5" },
        { "fp8 from 8.9 on", new GpuRequirements { Precision = Precision.Fp8, MinMemory = 60L << 30 }, "6" },
        { "fp4 from 10.0 on", new GpuRequirements { Precision = Precision.Fp4 }, "8" },
        { "a least capability", new GpuRequirements { MinComputeCapability = new(9, 0) }, "6" },
        { "a least memory", new GpuRequirements { MinMemory = 100L << 30 }, "8" },
        { "CUDA 13 excludes the V100", new GpuRequirements { Types = ["V100"], Cuda = 13 }, "never: cuda" },
        { "CUDA 12 does not", new GpuRequirements { Types = ["V100"], Cuda = 12 }, "0" },
        { "two of a kind, connected", new GpuRequirements { Count = 2 }, "3 4" },
        { "two of a kind that is not connected, on request", new GpuRequirements { Count = 2, Types = ["T4"] }, "1 2" },
        { "no machine has three of a kind", new GpuRequirements { Count = 3 }, "never: count" },
        { "two connected T4 do not exist", new GpuRequirements { Count = 2, NvLink = true, Types = ["T4"] }, "never: nvLink" },
        { "a slice", new GpuRequirements { Mig = MigProfile.Parse("1g.18gb") }, "7:1g.18gb" },
        { "the smallest sufficient slice", new GpuRequirements { MinMig = MigProfile.Parse("1g.20gb") }, "7:2g.35gb" },
        { "a slice that does not exist", new GpuRequirements { Mig = MigProfile.Parse("3g.71gb") }, "never: mig" },
        { "a larger slice than any", new GpuRequirements { MinMig = MigProfile.Parse("3g.20gb") }, "never: minMig" },
        { "a whole GPU that is in MIG mode", new GpuRequirements { Types = ["H200"] }, "never: mig" },
        { "a type that does not exist", new GpuRequirements { Types = ["L4"] }, "never: types" },
        { "a part of the smallest GPU", new GpuRequirements { Share = new MemoryShare(50, 0) }, "0" },
        { "a part larger than most GPUs", new GpuRequirements { Share = new MemoryShare(0, 90 * 1024) }, "8" },
        { "a part larger than every GPU", new GpuRequirements { Share = new MemoryShare(0, 200 * 1024) }, "never: share" },
        { "a confidential one", new GpuRequirements { Confidential = true }, "never: confidential" },
        { "a newer driver", new GpuRequirements { MinDriver = "600" }, "never: minDriver" },
        { "the first mismatch among the remaining GPUs is reported",
            new GpuRequirements { Types = ["A100"], Precision = Precision.Fp8 }, "never: precision" },
    };

    [Theory]
    [MemberData(nameof(OnAMixedFleet))]
    public void A_mixed_fleet_is_placed_by_the_documented_rules(string sentence, GpuRequirements needs, string gets) =>
        Assert.Equal((sentence, gets), (sentence, Fleet.Gets(Fleet.Of(Fleet.Mixed), needs)));

    [Theory]
    [InlineData(2, "0 3")] // Two NVLinks beat one.
    // One NVLink at least, and five together: 0-3 and 2-3 have two. 1 2 3 are as good, and come later.
    [InlineData(3, "0 2 3")]
    [InlineData(4, "0 1 2 3")] // The only fours that NVLinks connect completely are 0-3 and 4-7.
    [InlineData(8, "0 1 2 3 4 5 6 7")]
    [InlineData(9, "never: count")]
    public void A_cube_of_V100_uses_the_group_with_the_best_weakest_connection(int count, string gets)
    {
        var dgx1 = Fleet.Of("Tesla V100-SXM2-32GB", 8, Topologies.Dgx1);
        Assert.Equal(gets, Fleet.Gets(dgx1, new GpuRequirements { Count = count }));
        // Five of a cube are connected, but not each two of them.
        Assert.Equal("never: nvLink", Fleet.Gets(dgx1, new GpuRequirements { Count = 5, NvLink = true }));
    }

    [Theory]
    [InlineData(1, new[] { 0 }, "1")] // A pair that is broken already.
    [InlineData(1, new int[0], "0")]
    [InlineData(2, new[] { 0 }, "2 3")] // The pair with the bridge.
    [InlineData(2, new[] { 0, 2 }, "1 3")] // Without a bridge, where none is left.
    [InlineData(3, new int[0], "0 1 2")]
    public void Bridged_pairs_stay_together(int count, int[] taken, string gets)
    {
        var pairs = Fleet.Of("NVIDIA A100 80GB PCIe", 4, Topologies.BridgedA100);
        Assert.Equal(gets, Fleet.Gets(pairs, new GpuRequirements { Count = count }, Fleet.Has(pairs, "other", taken)));
    }

    [Fact]
    public void Without_NVLink_GPUs_of_one_socket_are_combined_unless_NVLink_is_required()
    {
        var epyc = Fleet.Of("NVIDIA L40S", 4, Topologies.Epyc);
        Assert.Equal("2 3", Fleet.Gets(epyc, new GpuRequirements { Count = 2 }, Fleet.Has(epyc, "other", 0)));
        Assert.Equal("never: nvLink", Fleet.Gets(epyc, new GpuRequirements { Count = 2, NvLink = true }));
        var a100 = Fleet.Of("NVIDIA A100 80GB PCIe", 4, Topologies.BridgedA100);
        Assert.Equal("now: count",
            Fleet.Gets(a100, new GpuRequirements { Count = 2, NvLink = true }, Fleet.Has(a100, "other", 0, 2)));
        Assert.Equal("never: nvLink", Fleet.Gets(a100, new GpuRequirements { Count = 3, NvLink = true }));
    }

    [Fact]
    public void GPUs_on_NVSwitch_are_filled_without_gaps_and_machines_stay_whole()
    {
        var dgx = Fleet.Of("NVIDIA A100-SXM4-80GB", 8, Topologies.DgxA100);
        Assert.Equal("3 4 5 6", Fleet.Gets(dgx, new GpuRequirements { Count = 4 }, Fleet.Has(dgx, "other", 0, 1, 2)));
        var two = Fleet.Of("""
            { "gpus": [{ "name": "NVIDIA H200", "count": 8, "nvLinks": 18, "node": "a" },
                { "name": "NVIDIA H200", "count": 8, "nvLinks": 18, "node": "b" }] }
            """);
        var busy = Fleet.Has(two, "other", 8, 9, 10);
        Assert.Equal("11", Fleet.Gets(two, new GpuRequirements(), busy));
        Assert.Equal("11 12 13 14", Fleet.Gets(two, new GpuRequirements { Count = 4 }, busy));
        Assert.Equal("0 1 2 3 4 5", Fleet.Gets(two, new GpuRequirements { Count = 6 }, busy));
        Assert.Equal("never: count", Fleet.Gets(two, new GpuRequirements { Count = 9 }));
    }

    [Theory]
    [InlineData("A100-SXM4-80GB", "1g.10gb", "1g.10gb")]
    [InlineData("H100 80GB HBM3", "3g.40gb", "3g.40gb")]
    [InlineData("H200", "1g.35gb", "1g.35gb")]
    public void Each_pod_gets_one_slice_from_the_GPU_with_the_fewest_free_slices(
        string gpu, string profile, string wanted)
    {
        var inventory = Fleet.Of($$"""
            { "gpus": [{ "name": "NVIDIA {{gpu}}", "mig": [{ "profile": "{{profile}}", "count": 2 }] },
                       { "name": "NVIDIA {{gpu}}", "mig": [{ "profile": "{{profile}}" }] }] }
            """);
        var requests = Enumerable.Range(0, 4)
            .Select(n => Fleet.Request("e", new GpuRequirements { Mig = MigProfile.Parse(wanted) }, id: $"{n}")).ToList();
        var placed = PlacementPlanner.Place(inventory, [], requests);
        Assert.Equal([$"1:{profile}", $"0:{profile}", $"0:{profile}", "now: gpu"],
            placed.Select(p => Fleet.Shown(inventory, p)));
        Assert.Equal(3, placed.SelectMany(p => p.Uuids).Distinct().Count());
        Assert.All(placed.SelectMany(p => p.Uuids), u => Assert.StartsWith("MIG-", u, StringComparison.Ordinal));
    }

    [Fact]
    public void Attributes_of_a_slice_match_exactly_or_as_a_minimum()
    {
        var inventory = Fleet.Of("""
            { "gpus": [{ "name": "NVIDIA H100 80GB HBM3",
                "mig": [{ "profile": "1g.10gb+me" }, { "profile": "1g.10gb" }] }] }
            """);
        Assert.Equal("0:1g.10gb", Fleet.Gets(inventory, new GpuRequirements { Mig = MigProfile.Parse("1g.10gb") }));
        Assert.Equal("0:1g.10gb+me", Fleet.Gets(inventory, new GpuRequirements { MinMig = MigProfile.Parse("1g.5gb+me") }));
    }

    [Fact]
    public void Shares_fill_a_shared_GPU_before_an_unused_one_and_never_exceed_its_memory()
    {
        var inventory = Fleet.Of("""{ "gpus": [{ "name": "NVIDIA L4", "count": 2 }] }""");
        var requests = new[] { 10, 10, 6, 4, 20, 1 }.Select(
            (gib, n) => Fleet.Request("e", new GpuRequirements { Share = new MemoryShare(0, gib * 1024) }, id: $"{n}"))
                .ToList();
        var placed = PlacementPlanner.Place(inventory, [], requests);
        // 24 GiB: 10 + 10 + 4 on the first, 6 + 1 on the second; 20 find no room.
        Assert.Equal(["0", "0", "1", "0", "now: share", "1"], placed.Select(p => Fleet.Shown(inventory, p)));
        Assert.Equal(1024, Assert.Single(placed[5].Devices).ShareMiB);
        var granted = placed.Where(p => p.Refusal is null).Select(p => new GpuAllocation(p.Request.Id, "e", p.Devices));
        Assert.Equal("now: gpu", Fleet.Gets(inventory, new GpuRequirements(), [.. granted]));
    }

    [Fact]
    public void A_share_uses_no_exclusively_allocated_GPU_and_none_in_exclusive_mode()
    {
        var inventory = Fleet.Of("""
            { "gpus": [{ "name": "NVIDIA L4" },
                { "name": "NVIDIA L4", "computeMode": "ExclusiveProcess" }] }
            """);
        Assert.Equal("now: gpu",
            Fleet.Gets(inventory, new GpuRequirements { Share = new MemoryShare(10, 0) }, Fleet.Has(inventory, "other", 0)));
        Assert.Equal("1", Fleet.Gets(inventory, new GpuRequirements(), Fleet.Has(inventory, "other", 0)));
    }

    [Fact]
    public void Confidential_GPUs_are_preferred_only_on_request()
    {
        var inventory = Fleet.Of("""
            { "gpus": [{ "name": "NVIDIA H100 80GB HBM3", "confidential": "Ready" },
                { "name": "NVIDIA H100 80GB HBM3" }] }
            """);
        Assert.Equal("0", Fleet.Gets(inventory, new GpuRequirements { Confidential = true }));
        Assert.Equal("1", Fleet.Gets(inventory, new GpuRequirements()));
        Assert.Equal("0", Fleet.Gets(inventory, new GpuRequirements(), Fleet.Has(inventory, "other", 1)));
    }

    [Fact]
    public void A_GPU_with_a_fault_is_not_allocated_and_requests_for_it_wait()
    {
        var inventory = Fleet.Of("""
            { "gpus": [{ "name": "Tesla T4", "fault": "2 uncorrectable ECC errors" },
                { "name": "NVIDIA L4" }] }
            """);
        Assert.Equal("1", Fleet.Gets(inventory, new GpuRequirements()));
        var refusal = PlacementPlanner.Place(inventory, [], [Fleet.Request("e", new GpuRequirements { Types = ["T4"] })])[0].Refusal!;
        Assert.False(refusal.Never);
        Assert.Contains("GPU 0 has a fault (2 uncorrectable ECC errors)", refusal.Reason, StringComparison.Ordinal);
        Assert.Equal("free, but not requested: 1 x NVIDIA L4", refusal.WouldFit);
    }

    [Theory]
    [InlineData("types: L4", "gpu.types requires L4; none of the GPUs matches (1 x Tesla V100-SXM2-16GB, 2 x Tesla T4,",
        "would fit: NVIDIA A100-SXM4-80GB, NVIDIA B200")]
    [InlineData("precision",
        "gpu.precision requires fp8, which requires compute capability 8.9; "
        + "none of the GPUs that match the other fields of gpu matches (2 x NVIDIA A100-SXM4-80GB)",
        "would fit: fp32, fp16, bf16, int8")]
    [InlineData("count", "gpu.count requires 4 GPUs of one kind on one machine; at most 2 match (",
        "would fit: count 2")]
    [InlineData("mig", "gpu.mig requires a MIG slice 1g.10gb", "would fit: 1g.18gb, 2g.35gb")]
    [InlineData("whole", "gpu.mig requires a whole GPU, and all matching GPUs are in MIG mode",
        "would fit: 1g.18gb, 2g.35gb")]
    [InlineData("memory", "gpu.minMemory requires 300GiB of memory", "would fit: at most 180GiB")]
    public void A_refusal_contains_the_field_and_what_would_fit(string which, string reason, string wouldFit)
    {
        var needs = which switch
        {
            "precision" => new GpuRequirements { Types = ["A100"], Precision = Precision.Fp8 },
            "count" => new GpuRequirements { Count = 4 },
            "mig" => new GpuRequirements { Mig = MigProfile.Parse("1g.10gb") },
            "whole" => new GpuRequirements { Types = ["H200"] },
            "memory" => new GpuRequirements { MinMemory = 300L << 30 },
            _ => new GpuRequirements { Types = ["L4"] },
        };
        var refusal = PlacementPlanner.WhyNever(Fleet.Of(Fleet.Mixed), needs)!;
        Assert.StartsWith(reason, refusal.Reason, StringComparison.Ordinal);
        Assert.StartsWith(wouldFit, refusal.WouldFit, StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_without_GPUs_is_reported_with_the_reason()
    {
        var refusal = PlacementPlanner.WhyNever(Inventory.None("nvidia-smi is not installed"), new GpuRequirements())!;
        Assert.Equal("No GPU was found (nvidia-smi is not installed)", refusal.ToString());
    }
}
