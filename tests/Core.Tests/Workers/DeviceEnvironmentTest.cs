using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>Which pods are given their devices, and what they are told of them.</summary>
public sealed class DeviceEnvironmentTest
{
    private static readonly Template BuiltIn = new() { Name = "t", Gpu = new GpuNeeds() };
    private static readonly Template Plain = new() { Name = "p" };

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
    public void A_pod_that_is_given_none_sees_none_and_one_whose_devices_nobody_decides_is_told_nothing()
    {
        var none = Set(Plain, []);
        Assert.Equal(("-1", "void", 2), (none["CUDA_VISIBLE_DEVICES"], none["NVIDIA_VISIBLE_DEVICES"], none.Count));
        Assert.Empty(Set(Plain, null));
    }

    [Fact]
    public void Where_one_declaration_has_needs_those_without_get_none_unless_they_say_which_they_see()
    {
        var (gpu, plain) = (Of("a", BuiltIn), Of("b", Plain));
        var says = Of("c", Plain with { Env = new Dictionary<string, string> { ["CUDA_VISIBLE_DEVICES"] = "0" } });
        Assert.Equal([true, true, false], new[] { gpu, plain, says }.Select(d => DeviceEnvironment.Decides(d, [gpu, plain, says])));
        Assert.False(DeviceEnvironment.Decides(plain, [plain, says]));
    }

    private static Deployment Of(string id, Template template) => new(new Endpoint { Id = id, Template = template.Name }, template);

    private static Dictionary<string, string> Set(Template template, string[]? devices, long? shareMiB = null, params (string Name, string Value)[] declared)
    {
        var env = declared.ToDictionary(d => d.Name, d => d.Value);
        DeviceEnvironment.Set(env, new PodOrder(Of("e", template), "e-1", devices) { ShareMiB = shareMiB });
        return env;
    }
}
