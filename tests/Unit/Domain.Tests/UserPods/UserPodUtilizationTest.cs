using Sluice.Domain.Gpus;
using Sluice.Domain.UserPods;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests what is computed from the measurements of a host, and that nothing is invented.</summary>
public sealed class UserPodUtilizationTest
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

    private static readonly Gpu Gpu = new()
    {
        Index = 0, Uuid = "GPU-1", Name = "NVIDIA L4", MemoryMiB = 1000, UsedMiB = 780, Utilization = 94,
    };

    [Fact]
    public void The_processor_is_the_mean_between_two_readings()
    {
        var used = Compute(Reading(0, 10), Reading(5, 16))!;
        Assert.Equal((1.2, 4, 30), (used.Cpus, used.CpuLimit, used.CpuPercent));
        Assert.Equal((500, 2000, 25), (used.Memory, used.MemoryLimit, used.MemoryPercent));
        Assert.Equal(Now, used.At);
        Assert.Empty(used.Gpus!);
    }

    [Fact]
    public void Without_a_comparable_reading_the_processor_is_unknown_and_memory_is_not()
    {
        UserPodReading?[] others =
        [
            null, Reading(0, 17), Reading(5, 10), Reading(6, 10), Reading(0, 10) with { CpuTime = null },
        ];
        foreach (var before in others)
        {
            var used = Compute(before, Reading(5, 16))!;
            Assert.Equal((null, null, 25), (used.Cpus, used.CpuPercent, used.MemoryPercent));
        }
    }

    [Fact]
    public void A_value_that_the_host_does_not_know_stays_unknown()
    {
        var none = new UserPodReading(Now, null, null, null, null);
        var used = Compute(none, none)!;
        Assert.Equal((null, null, null, null), (used.CpuPercent, used.MemoryPercent, used.Cpus, used.Memory));
        Assert.Null(Compute(Reading(0, 1), Reading(5, 2) with { CpuLimit = null })!.CpuPercent);
        Assert.Null(Compute(Reading(0, 1), Reading(5, 2) with { MemoryLimit = 0 })!.MemoryPercent);
        Assert.Null(Compute(Reading(0, 1), null));
    }

    [Fact]
    public void A_share_is_at_most_all()
    {
        var used = Compute(Reading(0, 0), Reading(1, 60) with { Memory = 3000 })!;
        Assert.Equal((100, 100, 60.0), (used.CpuPercent, used.MemoryPercent, used.Cpus));
    }

    [Fact]
    public void A_gpu_has_its_utilization_also_if_the_host_measures_nothing()
    {
        var used = UserPodUtilization.Compute(null, null, ["GPU-1"], [Gpu], Now)!;
        Assert.Equal(new UserPodGpuUtilization(94, 78), Assert.Single(used.Gpus!));
        Assert.Null(used.Memory);
        used = UserPodUtilization.Compute(null, null, ["GPU-1"], [Gpu with { UsedMiB = null }], Now)!;
        Assert.Equal(new UserPodGpuUtilization(94, null), Assert.Single(used.Gpus!));
    }

    [Fact]
    public void A_device_without_a_source_makes_the_gpus_unknown()
    {
        Assert.Null(UserPodUtilization.Compute(null, null, ["MIG-1"], [Gpu], Now));
        Assert.Null(UserPodUtilization.Compute(null, null, ["GPU-1"], [Gpu with { Utilization = null }], Now));
        Assert.Null(UserPodUtilization.Compute(null, Reading(0, 1), ["GPU-1", "MIG-1"], [Gpu], Now)!.Gpus);
    }

    [Fact]
    public void An_old_measurement_does_not_describe_the_present()
    {
        var used = Compute(null, Reading(0, 1))!;
        Assert.True(used.IsCurrent(Now + TimeSpan.FromSeconds(30)));
        Assert.False(used.IsCurrent(Now + TimeSpan.FromSeconds(31)));
    }

    private static UserPodUtilization? Compute(UserPodReading? before, UserPodReading? reading) =>
        UserPodUtilization.Compute(before, reading, [], [Gpu], Now);

    private static UserPodReading Reading(double at, double cpuSeconds) =>
        new(Now.AddSeconds(at), TimeSpan.FromSeconds(cpuSeconds), 4, 500, 2000);
}
