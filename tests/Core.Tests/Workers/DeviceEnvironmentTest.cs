using Sluice.Core.Endpoints;
using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>What a pod is told of its devices.</summary>
public sealed class DeviceEnvironmentTest
{
    private static readonly Template BuiltIn = new() { Name = "t" };

    [Fact]
    public void Devices_are_named_by_uuid_and_the_built_in_worker_runs_on_them()
    {
        var env = Set(BuiltIn, ["GPU-1", "GPU-2"]);
        Assert.Equal(("GPU-1,GPU-2", "GPU-1,GPU-2", "cuda"), (env["CUDA_VISIBLE_DEVICES"], env["NVIDIA_VISIBLE_DEVICES"], env["SLUICE_EXECUTION_PROVIDERS"]));
        Assert.False(env.ContainsKey("SLUICE_GPU_MEMORY_MIB"));
    }

    [Fact]
    public void A_share_is_told_and_the_built_in_workers_arena_keeps_within_it()
    {
        var env = Set(BuiltIn, ["GPU-1"], shareMiB: 2);
        Assert.Equal(("2", "gpu_mem_limit=2097152"), (env["SLUICE_GPU_MEMORY_MIB"], env["SLUICE_CUDA_OPTIONS"]));
    }

    [Fact]
    public void What_was_declared_stays_and_other_programs_get_the_devices_only()
    {
        var env = Set(BuiltIn, ["GPU-1"], shareMiB: 2, ("SLUICE_EXECUTION_PROVIDERS", "tensorrt"), ("SLUICE_CUDA_OPTIONS", "use_tf32=0"));
        Assert.Equal(("tensorrt", "use_tf32=0"), (env["SLUICE_EXECUTION_PROVIDERS"], env["SLUICE_CUDA_OPTIONS"]));
        Assert.Equal(["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"], Set(BuiltIn with { Command = ["vllm"] }, ["GPU-1"]).Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_pod_without_devices_sees_none() =>
        Assert.Equal(("-1", "void", 2), (Set(BuiltIn, [])["CUDA_VISIBLE_DEVICES"], Set(BuiltIn, [])["NVIDIA_VISIBLE_DEVICES"], Set(BuiltIn, []).Count));

    private static Dictionary<string, string?> Set(Template template, string[] devices, long? shareMiB = null, params (string Name, string Value)[] declared)
    {
        var env = declared.ToDictionary(d => d.Name, d => (string?)d.Value);
        DeviceEnvironment.Set(env, template, devices, shareMiB);
        return env;
    }
}
