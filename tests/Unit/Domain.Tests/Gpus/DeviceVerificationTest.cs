using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Tests that a worker with other devices than its template requires is found.</summary>
public sealed class DeviceVerificationTest
{
    private static readonly ReportedDevice H100 = new()
    {
        Uuid = "GPU-1",
        Name = "NVIDIA H100 80GB HBM3",
        MemoryMiB = 81559,
        ComputeCapability = new(9, 0),
        Driver = "580.95.05",
    };

    private static readonly ReportedDevice Slice = H100 with { Uuid = "MIG-1", Mig = MigProfile.Parse("1g.10gb") };

    public static TheoryData<GpuRequirements, ReportedDevice[], string?> Cases => new()
    {
        { new() { Types = ["H100"] }, [H100], null },
        { new() { Types = ["L4", "A100"] }, [H100],
            "the worker got NVIDIA H100 80GB HBM3 (GPU-1), and gpu.types is L4, A100" },
        { new() { Count = 2 }, [H100],
            "the worker got 1 GPU or MIG slice (NVIDIA H100 80GB HBM3 GPU-1), and gpu.count is 2" },
        { new(), [], "the worker got no GPU, and gpu.count is 1" },
        { new(), [H100, H100 with { Uuid = "GPU-2" }],
            "the worker got 2 GPUs or MIG slices (NVIDIA H100 80GB HBM3 GPU-1, NVIDIA H100 80GB HBM3 GPU-2), and "
                + "gpu.count is 1: its container runtime does not restrict it to the devices that it was assigned" },
        { new() { Mig = MigProfile.Parse("1g.10gb") }, [Slice], null },
        { new() { Mig = MigProfile.Parse("2g.20gb") }, [Slice],
            "the worker got MIG 1g.10gb of NVIDIA H100 80GB HBM3 (MIG-1), and gpu.mig is a MIG slice 2g.20gb" },
        { new() { Mig = MigProfile.Parse("1g.10gb") }, [H100],
            "the worker got NVIDIA H100 80GB HBM3 (GPU-1), and gpu.mig is a MIG slice 1g.10gb" },
        { new() { MinMig = MigProfile.Parse("1g.10gb"), MinMemory = 8L << 30 }, [Slice], null },
        { new() { MinMig = MigProfile.Parse("1g.10gb"), MinMemory = 20L << 30 }, [Slice],
            "the worker got MIG 1g.10gb of NVIDIA H100 80GB HBM3 (MIG-1), and gpu.minMemory is 20GiB of memory" },
        { new() { MinMemory = 8L << 30 }, [Slice],
            "the worker got MIG 1g.10gb of NVIDIA H100 80GB HBM3 (MIG-1), and the template requires a whole GPU" },
        { new() { MinMemory = 100L << 30 }, [H100],
            "the worker got NVIDIA H100 80GB HBM3 (GPU-1), and gpu.minMemory is 100GiB of memory" },
        { new() { MinMemory = 100L << 30 }, [H100 with { MemoryMiB = null }], null },
        { new() { MinComputeCapability = new(10, 0) }, [H100],
            "the worker got NVIDIA H100 80GB HBM3 (GPU-1), and gpu.minComputeCapability is compute capability 10.0" },
        { new() { MinComputeCapability = new(10, 0) },
            [new ReportedDevice { Uuid = "GPU-1", Name = "An unknown GPU" }], null },
        { new() { MinDriver = "590.10" }, [H100],
            "the worker got NVIDIA H100 80GB HBM3 (GPU-1), and gpu.minDriver is driver 590.10" },
        { new() { MinDriver = "590.10" }, [H100 with { Driver = null }], null },
        { new() { Confidential = true }, [H100], null },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_first_requirement_that_is_not_met_is_named(
        GpuRequirements needs, ReportedDevice[] devices, string? mismatch) =>
        Assert.Equal(mismatch, DeviceVerification.DescribeMismatch(needs, new DeviceReport { Devices = devices }));

    [Fact]
    public void A_worker_that_sees_many_devices_gets_a_short_reason() => Assert.EndsWith(
        "GPU-1 and 2 more), and gpu.count is 1: its container runtime does not restrict it to the devices that it was "
            + "assigned",
        DeviceVerification.DescribeMismatch(
            new GpuRequirements(), new DeviceReport { Devices = [.. Enumerable.Repeat(H100, 10)] }),
        StringComparison.Ordinal);

    [Fact]
    public void Nvlinks_are_verified_if_the_worker_knows_them()
    {
        var needs = new GpuRequirements { Count = 2, NvLink = true };
        var report = new DeviceReport { Devices = [H100, H100 with { Uuid = "GPU-2" }] };
        Assert.Null(DeviceVerification.DescribeMismatch(needs, report with { NvLinked = true }));
        Assert.Null(DeviceVerification.DescribeMismatch(needs, report));
        Assert.StartsWith("gpu.nvLink is true, and NVLinks do not connect each pair",
            DeviceVerification.DescribeMismatch(needs, report with { NvLinked = false }), StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_verified_if_the_worker_knows_no_devices() => Assert.Null(DeviceVerification.DescribeMismatch(
        new GpuRequirements(), new DeviceReport { Error = "nvidia-smi is not installed" }));

    [Theory]
    [InlineData("""{"devices":[{"uuid":"GPU-1","name":"L4","mig":"1g.10gb","computeCapability":"8.9"}]}""", true)]
    [InlineData("""{"devices":[],"error":"nvidia-smi is not installed"}""", true)]
    [InlineData("""{"devices":[null]}""", false)]
    [InlineData("""{"devices":null}""", false)]
    [InlineData("""{"devices":[{"uuid":"GPU-1"}]}""", false)]
    [InlineData("""{"devices":[{"uuid":"GPU-1","name":null}]}""", false)]
    [InlineData("""{"devices":[{"uuid":"GPU-1","name":"L4\nWorker w of e is ready"}]}""", false)]
    [InlineData("""{"devices":[{"uuid":"GPU-1","name":"L4","mig":"none"}]}""", false)]
    [InlineData("null", false)]
    [InlineData("", false)]
    public void A_report_is_read_if_it_is_valid(string header, bool isValid) =>
        Assert.Equal(!isValid,
            DeviceReport.Parse(header).Error?.Contains("is not valid", StringComparison.Ordinal) ?? false);

    [Fact]
    public void A_report_of_more_devices_than_a_machine_has_is_not_read()
    {
        Assert.Equal(256, DeviceReport.Parse(Report(256)).Devices.Count);
        Assert.Contains("257 devices; expected at most 256", DeviceReport.Parse(Report(257)).Error,
            StringComparison.Ordinal);
        Assert.Contains("characters; expected at most",
            DeviceReport.Parse(Report(1) + new string(' ', 60 << 10)).Error, StringComparison.Ordinal);

        static string Report(int devices) => "{\"devices\":["
            + string.Join(',', Enumerable.Repeat("""{"uuid":"GPU-1","name":"L4"}""", devices)) + "]}";
    }
}
