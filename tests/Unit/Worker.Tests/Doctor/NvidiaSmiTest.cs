using Sluice.Worker.Devices;

namespace Sluice.Worker.Tests.Doctor;

/// <summary>What nvidia-smi says, read.</summary>
public sealed class NvidiaSmiTest
{
    [Fact]
    public void Gpus_are_read_with_what_is_told_of_them()
    {
        var gpus = NvidiaSmi.ParseGpus("""
            0, GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f, NVIDIA H200, 580.159, 9.0, Disabled, 143771, 512, 37
            1, GPU-77777777-d268-c3f3-1b07-005d5ae1dc3f, Tesla V100-SXM2-16GB, 580.159, 7.0, [N/A], 16384, 0, 0
            """);
        Assert.Equal(new GpuFacts(0, "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f", "NVIDIA H200", "580.159", "9.0", false, 143771, 512, 37), gpus[0]);
        Assert.Equal(("Tesla V100-SXM2-16GB", "7.0", null), (gpus[1].Name, gpus[1].ComputeCapability, gpus[1].MigEnabled));
    }

    [Theory]
    [InlineData("[N/A]")]
    [InlineData("[Not Supported]")]
    [InlineData("[Insufficient Permissions]")]
    [InlineData("[Unknown Error]")]
    [InlineData("ERR!")]
    [InlineData("N/A")]
    [InlineData("")]
    public void What_is_not_told_is_null(string field)
    {
        var gpu = Assert.Single(NvidiaSmi.ParseGpus($"0, GPU-1, NVIDIA A100-SXM4-80GB, 580.95, {field}, {field}, {field}, {field}, {field}\n"));
        Assert.Equal(new GpuFacts(0, "GPU-1", "NVIDIA A100-SXM4-80GB", "580.95", null, null, null, null, null), gpu);
    }

    [Theory]
    [InlineData("No devices were found\n")]
    [InlineData("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")]
    [InlineData("")]
    [InlineData("0, GPU-1, short\n")]
    public void What_is_no_gpu_is_passed_over(string said) => Assert.Empty(NvidiaSmi.ParseGpus(said));

    [Fact]
    public void Mig_instances_are_read_with_their_gpu()
    {
        var mig = NvidiaSmi.ParseMig("""
            GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
              MIG 1g.10gb     Device  0: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000001)
              MIG 1g.10gb+me  Device  1: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000002)
            GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-6c89852c-d268-c3f3-1b07-005d5ae1dc3f)
              MIG 7g.80gb     Device  0: (UUID: MIG-b9a7e2c1-0000-5000-8000-000000000003)
            """);
        Assert.Equal([(0, "1g.10gb", 0), (0, "1g.10gb+me", 1), (1, "7g.80gb", 0)], mig.Select(m => (m.Gpu, m.Profile, m.Device)));
        Assert.Equal("MIG-b9a7e2c1-0000-5000-8000-000000000003", mig[2].Uuid);
        Assert.Empty(NvidiaSmi.ParseMig("GPU 0: NVIDIA H200 (UUID: GPU-1)\n"));
    }
}
