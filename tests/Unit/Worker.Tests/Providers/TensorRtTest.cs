using Microsoft.ML.OnnxRuntime;
using Sluice.Testing;
using Sluice.Worker.Devices;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Tests.Providers;

/// <summary>Profiles, engine keys and CUDA graphs: what depends on a model's shapes, decided without a GPU.</summary>
public sealed class TensorRtTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-trt-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("digits", "pixels [-1,784]")]
    [InlineData("story", "input_ids [-1,-1]")]
    public void A_models_inputs_are_read_from_its_file_without_a_session(string model, string first)
    {
        var path = Path.Combine(Repository.Models, model, "1", "model.onnx");
        using var session = new Microsoft.ML.OnnxRuntime.InferenceSession(path);
        var read = OnnxInputs.Read(path);
        Assert.Equal(session.InputNames.Order(), read.Select(i => i.Name).Order());
        foreach (var input in read)
            Assert.Equal(session.InputMetadata[input.Name].Dimensions.Select(d => (long)d), input.Dimensions);
        Assert.Contains(read, i => $"{i.Name} [{string.Join(',', i.Dimensions)}]" == first || model == "digits");
    }

    [Fact]
    public void A_file_that_is_cut_or_no_model_is_told_by_its_path()
    {
        var path = Path.Combine(folder, "cut.onnx");
        File.WriteAllBytes(path, TinyModel.Identity("FP32", -1)[..^5]);
        Assert.Contains("cut.onnx is not an ONNX model", Assert.Throws<InvalidOperationException>(() => OnnxInputs.Read(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fixed_shapes_need_no_profile() =>
        Assert.Empty(ShapeProfiles.Complete("m", [new("x", [1, 3, 224, 224])], new Dictionary<string, string>(), null));

    [Fact]
    public void A_free_batch_gets_its_profile_from_the_largest_batch()
    {
        var options = ShapeProfiles.Complete("m", [new("x", [-1, 3, 224, 224]), new("scale", [1]), new("y", [-1])], new Dictionary<string, string>(), 16);
        Assert.Equal("x:1x3x224x224,y:1", options["trt_profile_min_shapes"]);
        Assert.Equal("x:16x3x224x224,y:16", options["trt_profile_opt_shapes"]);
        Assert.Equal("x:16x3x224x224,y:16", options["trt_profile_max_shapes"]);
    }

    [Fact]
    public void A_free_batch_without_a_largest_one_is_refused()
    {
        var error = Assert.Throws<InvalidOperationException>(() => ShapeProfiles.Complete("m", [new("x", [-1, 4])], new Dictionary<string, string>(), null));
        Assert.Contains("model m: the batch of input 'x' [-1,4] is free, and TensorRT must know the largest: set SLUICE_TENSORRT_MAX_BATCH",
            error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Free_dimensions_beyond_the_batch_are_demanded_with_the_option_to_set()
    {
        var error = Assert.Throws<InvalidOperationException>(() => ShapeProfiles.Complete("m", [new("ids", [-1, -1])], new Dictionary<string, string>(), 8));
        Assert.Contains("input 'ids' has free dimensions [-1,-1] beyond the batch", error.Message, StringComparison.Ordinal);
        Assert.Contains("SLUICE_TENSORRT_OPTIONS=\"trt_profile_min_shapes=ids:1x1;trt_profile_opt_shapes=ids:8x128;trt_profile_max_shapes=ids:8x512\"",
            error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ids:1x1,mask:1x1", "ids:8x128", "ids:8x512,mask:8x512", "trt_profile_opt_shapes does not name input 'mask' [-1,-1]")]
    [InlineData("ids:1x1,mask:1x1", null, "ids:8x512,mask:8x512", "trt_profile_opt_shapes does not name input 'ids'")]
    [InlineData("ids:1x1,mask:1x1x1", "ids:8x8,mask:8x8", "ids:8x8,mask:8x8", "trt_profile_min_shapes has 'mask:1x1x1', which does not match its shape [-1,-1]")]
    [InlineData("ids:1x1,mask:1x0", "ids:8x8,mask:8x8", "ids:8x8,mask:8x8", "has 'mask:1x0', which does not match")]
    [InlineData("ids:1x1,mask:1x1", "ids:8x8,mask:8x8", "ids:8x8,mask:8x8", null)]
    public void Declared_profiles_name_every_free_input_in_all_three(string min, string? opt, string max, string? says)
    {
        var options = new Dictionary<string, string> { ["trt_profile_min_shapes"] = min, ["trt_profile_max_shapes"] = max };
        if (opt is not null) options["trt_profile_opt_shapes"] = opt;
        var complete = () => ShapeProfiles.Complete("m", [new("ids", [-1, -1]), new("mask", [-1, -1])], options, null);
        if (says is null) Assert.Same(options, complete());
        else Assert.Contains(says, Assert.Throws<InvalidOperationException>(() => complete()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cuda_graph_is_only_for_shapes_that_are_fixed_but_for_the_batch()
    {
        Assert.Null(ShapeProfiles.NoCudaGraph("m", "enable_cuda_graph", [new("x", [1, 4])]));
        Assert.Null(ShapeProfiles.NoCudaGraph("m", "enable_cuda_graph", [new("x", [-1, 4])]));
        Assert.Equal("model m: trt_cuda_graph_enable=1 needs fixed shapes except for the batch, and input 'x' is [-1,-1]; fix its dimensions in the "
            + "model, or remove trt_cuda_graph_enable",
            ShapeProfiles.NoCudaGraph("m", "trt_cuda_graph_enable", [new("x", [-1, -1])]));
    }

    [Fact]
    public void An_engines_key_changes_with_everything_that_invalidates_it_and_with_nothing_else()
    {
        var engine = new EngineIdentity
        {
            ModelHash = "a", OnnxRuntimeVersion = "1.29.0", TensorRtVersion = "10.14.1", GpuName = "NVIDIA H200", ComputeCapability = "9.0",
            Options = new Dictionary<string, string> { ["trt_fp16_enable"] = "1", ["trt_profile_max_shapes"] = "x:8x4" },
        };
        EngineIdentity With(string name, string value) => engine with { Options = new Dictionary<string, string>(engine.Options) { [name] = value } };
        EngineIdentity[] others =
        [
            engine with { ModelHash = "b" }, engine with { OnnxRuntimeVersion = "1.30.0" }, engine with { TensorRtVersion = "10.15.1" },
            engine with { GpuName = "NVIDIA H100" }, engine with { ComputeCapability = "8.0" }, engine with { MigProfile = "1g.18gb" },
            With("trt_fp16_enable", "0"), With("trt_bf16_enable", "1"), With("trt_int8_enable", "1"), With("trt_profile_max_shapes", "x:16x4"),
            With("trt_builder_optimization_level", "5"),
        ];
        Assert.Equal(others.Length + 1, others.Append(engine).Select(EngineCacheKey.ForEngine).Distinct().Count());
        Assert.Equal(EngineCacheKey.ForEngine(engine), EngineCacheKey.ForEngine(With("trt_engine_cache_path", "/elsewhere")));
        Assert.Equal(EngineCacheKey.ForEngine(engine), EngineCacheKey.ForEngine(With("device_id", "1")));
        Assert.Equal(EngineCacheKey.ForTimings(engine), EngineCacheKey.ForTimings(others[0]));
        Assert.NotEqual(EngineCacheKey.ForTimings(engine), EngineCacheKey.ForTimings(others[2]));
        Assert.Matches("^[0-9a-f]{32}$", EngineCacheKey.ForEngine(engine));
    }

    [Theory]
    [InlineData(null, 0, "GPU-a", null)]
    [InlineData(null, 1, "GPU-b", "1g.18gb")]
    [InlineData("1", 0, "GPU-b", "1g.18gb")]
    [InlineData("GPU-b", 0, "GPU-b", "1g.18gb")]
    [InlineData("MIG-2", 0, "GPU-b", "3g.71gb")]
    [InlineData("MIG-2", 7, "GPU-b", "3g.71gb")]
    [InlineData("GPU-a", 0, "GPU-a", null)]
    [InlineData("", 0, null, null)]
    public void An_engine_is_cached_for_the_device_that_CUDA_uses(
        string? visible, int device, string? gpu, string? profile)
    {
        GpuFacts Gpu(int index, string uuid, bool mig) =>
            new(index, uuid, "NVIDIA H200", "580.95.05", "9.0", mig, 143_771, 0, 0);
        var smi = new SmiAnswer(
            [Gpu(0, "GPU-a", false), Gpu(1, "GPU-b", true)],
            [new MigInstance(1, "1g.18gb", 0, "MIG-1"), new MigInstance(1, "3g.71gb", 1, "MIG-2")],
            null);
        var (found, mig) = TensorRtCache.FindDevice(smi, visible, device);
        Assert.Equal((gpu, profile), (found?.Uuid, mig?.Profile));
    }

    [Fact]
    public void A_models_hash_changes_with_its_content_and_with_the_files_beside_it()
    {
        var path = Path.Combine(folder, "model.onnx");
        File.WriteAllText(path, "one");
        var first = EngineCacheKey.HashModel(path);
        Assert.Equal(first, EngineCacheKey.HashModel(path));
        File.WriteAllText(path, "two");
        var second = EngineCacheKey.HashModel(path);
        File.WriteAllText(Path.Combine(folder, "weights.bin"), "w");
        Assert.Equal(3, new[] { first, second, EngineCacheKey.HashModel(path) }.Distinct().Count());
    }
}
