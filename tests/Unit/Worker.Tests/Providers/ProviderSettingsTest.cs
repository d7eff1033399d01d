using Sluice.Worker.Providers;

namespace Sluice.Worker.Tests.Providers;

/// <summary>What may be wished, and the sentence for what may not.</summary>
public sealed class ProviderSettingsTest
{
    [Fact]
    public void Options_are_kept_by_their_official_names()
    {
        var settings = Read(("SLUICE_EXECUTION_PROVIDERS", "tensorrt, cuda, cpu"), ("SLUICE_PROVIDER_POLICY", "prefer"), ("SLUICE_ALLOW_CPU_NODES", "0"),
            ("SLUICE_CUDA_OPTIONS", "gpu_mem_limit=2147483648; cudnn_conv_algo_search=HEURISTIC;"),
            ("SLUICE_TENSORRT_OPTIONS", "trt_fp16_enable=1;trt_profile_min_shapes=ids:1x1,mask:1x1"), ("SLUICE_CUDA_LIBRARY_PATH", "/a:/b"));
        Assert.Equal(["tensorrt", "cuda", "cpu"], settings.Requested);
        Assert.Equal((ProviderPolicy.Prefer, false), (settings.Policy, settings.AllowCpuNodes));
        Assert.Equal(("2147483648", "HEURISTIC"), (settings.Cuda["gpu_mem_limit"], settings.Cuda["cudnn_conv_algo_search"]));
        Assert.Equal("ids:1x1,mask:1x1", settings.TensorRt["trt_profile_min_shapes"]);
        Assert.True(settings.TensorRt.On("trt_fp16_enable"));
        Assert.Equal(["/a", "/b"], settings.CudaLibraryPath);
    }

    [Theory]
    [InlineData("SLUICE_EXECUTION_PROVIDERS", "trt", "has 'trt'; expected some of tensorrt, cuda, webgpu, cpu; the nearest is 'tensorrt'")]
    [InlineData("SLUICE_EXECUTION_PROVIDERS", "tensorT", "the nearest is 'tensorrt'")]
    [InlineData("SLUICE_EXECUTION_PROVIDERS", "cuda,cuda", "expected each name once")]
    [InlineData("SLUICE_EXECUTION_PROVIDERS", "cpu,cuda", "expected cpu last")]
    [InlineData("SLUICE_PROVIDER_POLICY", "maybe", "is 'maybe'; expected require or prefer")]
    [InlineData("SLUICE_ALLOW_CPU_NODES", "no", "is 'no'; expected 0 or 1")]
    [InlineData("SLUICE_TENSORRT_MAX_BATCH", "0", "is '0'; expected a number from 1 to 65536")]
    [InlineData("SLUICE_CUDA_OPTIONS", "gpu_memory_limit=1", "option 'gpu_memory_limit' (value '1'), which does not exist; the nearest is 'gpu_mem_limit'")]
    [InlineData("SLUICE_CUDA_OPTIONS", "USE_TF32=1", "the nearest is 'use_tf32'")]
    [InlineData("SLUICE_CUDA_OPTIONS", "trt_fp16_enable=1", "has option 'trt_fp16_enable' (value '1'), which does not exist")]
    [InlineData("SLUICE_CUDA_OPTIONS", "gpu_mem_limit=2GB", "option 'gpu_mem_limit' is '2GB'; expected a whole number, at least 0")]
    [InlineData("SLUICE_CUDA_OPTIONS", "use_tf32=yes", "option 'use_tf32' is 'yes'; expected 0 or 1")]
    [InlineData("SLUICE_CUDA_OPTIONS", "cudnn_conv_algo_search=heuristic", "expected one of EXHAUSTIVE, HEURISTIC, DEFAULT")]
    [InlineData("SLUICE_CUDA_OPTIONS", "use_tf32", "has 'use_tf32'; expected option=value")]
    [InlineData("SLUICE_CUDA_OPTIONS", "use_tf32=", "option 'use_tf32' is ''; expected a value")]
    [InlineData("SLUICE_CUDA_OPTIONS", "use_tf32=1;use_tf32=0", "has option 'use_tf32' twice")]
    [InlineData("SLUICE_TENSORRT_OPTIONS", "trt_fp_16_enable=1", "the nearest is 'trt_fp16_enable'")]
    [InlineData("SLUICE_TENSORRT_OPTIONS", "trt_builder_optimization_level=6",
        "option 'trt_builder_optimization_level' is '6'; expected a whole number from 0 to 5")]
    [InlineData("SLUICE_WEBGPU_OPTIONS", "powerpreference=low", "the nearest is 'powerPreference'")]
    public void What_cannot_be_meant_is_refused_with_name_value_and_what_would_be_right(string name, string value, string says)
    {
        var error = Assert.Throws<InvalidOperationException>(() => Read((name, value)));
        Assert.StartsWith(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
    }

    private static ProviderSettings Read(params (string Name, string Value)[] environment) =>
        ProviderSettings.Read(n => environment.FirstOrDefault(e => e.Name == n).Value);
}
