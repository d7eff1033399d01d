using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>Which pods are restricted to assigned devices, and their environment variables.</summary>
public sealed class DeviceEnvironmentTest
{
    private static readonly Template BuiltIn = new() { Name = "t", Gpu = new GpuRequirements() };
    private static readonly Template Plain = new() { Name = "p" };

    [Fact]
    public void Devices_are_named_by_uuid_and_the_built_in_worker_runs_on_them()
    {
        var env = Set(BuiltIn, ["GPU-1", "GPU-2"]);
        Assert.Equal("GPU-1,GPU-2", env["CUDA_VISIBLE_DEVICES"]);
        Assert.Equal("GPU-1,GPU-2", env["NVIDIA_VISIBLE_DEVICES"]);
        Assert.Equal("cuda", env["SLUICE_EXECUTION_PROVIDERS"]);
        Assert.False(env.ContainsKey("SLUICE_GPU_MEMORY_MIB"));
    }

    [Fact]
    public void A_memory_share_is_passed_on_and_limits_the_arena_of_the_built_in_worker()
    {
        var env = Set(BuiltIn, ["GPU-1"], shareMiB: 2);
        Assert.Equal(("2", "gpu_mem_limit=2097152"), (env["SLUICE_GPU_MEMORY_MIB"], env["SLUICE_CUDA_OPTIONS"]));
    }

    [Fact]
    public void Declared_variables_are_kept_and_other_programs_get_only_the_device_variables()
    {
        var env = Set(BuiltIn, ["GPU-1"], shareMiB: 2,
            ("SLUICE_EXECUTION_PROVIDERS", "tensorrt"), ("SLUICE_CUDA_OPTIONS", "use_tf32=0"));
        Assert.Equal(("tensorrt", "use_tf32=0"), (env["SLUICE_EXECUTION_PROVIDERS"], env["SLUICE_CUDA_OPTIONS"]));
        Assert.Equal("1", env["SLUICE_REPORT_DEVICES"]);
        var other = Set(BuiltIn with { Command = ["vllm"] }, ["GPU-1"]);
        Assert.Equal(["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"], other.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_pod_with_an_empty_device_list_sees_none_and_one_without_a_list_gets_no_variables()
    {
        var none = Set(Plain, []);
        Assert.Equal(("-1", "void", 2), (none["CUDA_VISIBLE_DEVICES"], none["NVIDIA_VISIBLE_DEVICES"], none.Count));
        Assert.Empty(Set(Plain, null));
    }

    [Fact]
    public void A_gpu_declaration_hides_the_gpus_from_other_pods_unless_they_select_devices_themselves()
    {
        var (gpu, plain) = (Of("a", BuiltIn), Of("b", Plain));
        var selects = Of("c", Plain with { Env = new Dictionary<string, string> { ["CUDA_VISIBLE_DEVICES"] = "0" } });
        Deployment[] all = [gpu, plain, selects];
        Assert.Equal([true, true, false], all.Select(d => DeviceEnvironment.Decides(d, all)));
        Assert.False(DeviceEnvironment.Decides(plain, [plain, selects]));
    }

    private static Deployment Of(string id, Template template) =>
        new(new Endpoint { Id = id, Template = template.Name }, template);

    private static Dictionary<string, string> Set(
        Template template,
        string[]? devices,
        long? shareMiB = null,
        params (string Name, string Value)[] declared)
    {
        var env = declared.ToDictionary(d => d.Name, d => d.Value);
        DeviceEnvironment.Set(env, new PodSpec(Of("e", template), "e-1", devices) { ShareMiB = shareMiB });
        return env;
    }
}
