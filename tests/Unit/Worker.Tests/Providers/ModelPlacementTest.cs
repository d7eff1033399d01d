using Sluice.Testing;
using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Tests.Providers;

/// <summary>Where nodes were placed, and what is refused: with the real digits model on the CPU, and as a table.</summary>
public sealed class ModelPlacementTest
{
    private static readonly string Digits = Path.Combine(Repository.Models, "digits", "1", "model.onnx");

    [Fact]
    public void The_digits_nodes_are_counted_on_the_cpu()
    {
        var placement = Placement(new ExecutionProviders(["cpu"]), Digits);
        var share = Assert.Single(placement.Shares);
        Assert.Equal(("cpu", 1.0), (share.Provider, share.Share));
        Assert.True(share.Nodes > 1, placement.ToString());
        Assert.Equal($"cpu {share.Nodes}/{share.Nodes} (100 %)", placement.ToString());
        Assert.All(placement.Placed, n => Assert.NotEqual("", n.Operator));
    }

    [Fact]
    public void Shares_and_operators_on_the_cpu_are_told_the_most_first()
    {
        var placement = Of(("cuda", "Conv", 97), ("cpu", "Shape", 2), ("cpu", "Gather", 1));
        Assert.Equal("cuda 97/100 (97 %), cpu 3/100 (3 %)", placement.ToString());
        Assert.Equal("Shape 2, Gather 1", placement.CpuOperators);
    }

    public static TheoryData<string, ModelPlacement, string[], bool, ProviderPolicy, string?> Placements => new()
    {
        { "all on the GPU", Of(("cuda", "Conv", 5)), ["cuda", "cpu"], false, ProviderPolicy.Require, null },
        { "partly on the CPU, allowed", Of(("cuda", "Conv", 5), ("cpu", "Shape", 1)), ["cuda", "cpu"], true, ProviderPolicy.Require, null },
        { "partly on the CPU, forbidden", Of(("cuda", "Conv", 5), ("cpu", "Shape", 1)), ["cuda", "cpu"], false, ProviderPolicy.Prefer,
            "model m: 1 of 6 nodes run on the CPU (Shape 1), which SLUICE_ALLOW_CPU_NODES=0 forbids" },
        { "none on the first, required", Of(("cuda", "Conv", 5)), ["tensorrt", "cuda", "cpu"], true, ProviderPolicy.Require,
            "model m: tensorrt runs none of its 5 nodes (cuda 5/5 (100 %))" },
        { "none on the first, preferred", Of(("cuda", "Conv", 5)), ["tensorrt", "cuda", "cpu"], true, ProviderPolicy.Prefer, null },
        { "all on the first, the second idle", Of(("tensorrt", "Conv", 5)), ["tensorrt", "cuda", "cpu"], true, ProviderPolicy.Require, null },
        { "a refused first run, the CPU allowed", Of(("cpu", "Shape", 1)) with { Complete = false }, ["cuda", "cpu"], true, ProviderPolicy.Require, null },
        { "a refused first run, the CPU forbidden", Of(("cuda", "Conv", 1)) with { Complete = false }, ["cuda", "cpu"], false, ProviderPolicy.Require,
            "model m: the model rejected its first run on zeros" },
        { "a model without nodes", Of(), ["cuda", "cpu"], false, ProviderPolicy.Require, null },
    };

    [Theory]
    [MemberData(nameof(Placements))]
    public void A_placement_is_refused_by_the_wish_alone(string what, ModelPlacement placement, string[] had, bool allowCpu,
        ProviderPolicy policy, string? says)
    {
        var refusal = placement.Refusal("m", had, new ProviderSettings { Requested = had, AllowCpuNodes = allowCpu, Policy = policy });
        Assert.True(says is null ? refusal is null : refusal!.StartsWith(says, StringComparison.Ordinal), $"{what}: {refusal}");
    }

    [Fact]
    public void Nodes_on_the_cpu_are_not_forbidden_where_only_the_cpu_was_wished() =>
        Assert.Null(Of(("cpu", "Conv", 5)).Refusal("m", ["cpu"], new ProviderSettings { AllowCpuNodes = false }));

    [Theory]
    [InlineData("cuda", "execution provider cuda cannot be used: ")]
    [InlineData("tensorrt", "execution provider tensorrt cannot be used: ")]
    [InlineData("webgpu", "execution provider webgpu cannot be used: ")]
    public void A_required_provider_that_cannot_be_had_is_refused_with_the_missing_piece(string provider, string says)
    {
        if (HasDevice) return;
        var providers = new ExecutionProviders(new ProviderSettings { Requested = [provider], TensorRtMaxBatch = 4, TensorRtCache = Path.GetTempPath() });
        var error = Assert.Throws<InvalidOperationException>(() => providers.Open(Digits));
        Assert.Contains(provider == "webgpu" ? "WebGPU" : says, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ErrorCode", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_preferred_provider_that_cannot_be_had_is_skipped_and_its_reason_kept()
    {
        if (HasDevice) return;
        var providers = new ExecutionProviders(new ProviderSettings { Requested = ["cuda", "webgpu", "cpu"], Policy = ProviderPolicy.Prefer });
        var placement = Placement(providers, Digits);
        Assert.Equal(["cuda", "webgpu"], providers.Skipped.Keys.Order());
        Assert.All(providers.Skipped.Values, Assert.NotEmpty);
        Assert.Equal(("cpu", placement.Placed.Count), (providers.First, placement.On("cpu")));
    }

    [Fact]
    public void A_profile_tells_each_node_once_and_no_copies()
    {
        const string profile = """
            [{"cat":"Session","name":"model_run","args":{}},
             {"cat":"Node","name":"conv1_fence_before","args":{"op_name":"Conv"}},
             {"cat":"Node","name":"conv1_kernel_time","args":{"op_name":"Conv","provider":"CUDAExecutionProvider","node_index":"0"}},
             {"cat":"Node","name":"conv1_kernel_time","args":{"op_name":"Conv","provider":"CUDAExecutionProvider","node_index":"0"}},
             {"cat":"Node","name":"Memcpy_kernel_time","args":{"op_name":"MemcpyToHost","provider":"CUDAExecutionProvider","node_index":"9"}},
             {"cat":"Node","name":"_kernel_time","args":{"op_name":"Shape","provider":"CPUExecutionProvider","node_index":"1"}},
             {"cat":"Node","name":"_kernel_time","args":{"op_name":"Shape","provider":"CPUExecutionProvider","node_index":"2"}}]
            """;
        using var stream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(profile));
        var nodes = PlacementProfile.Parse(stream);
        Assert.Equal([("cuda", "conv1", "Conv"), ("cpu", "", "Shape"), ("cpu", "", "Shape")], nodes.Select(n => (n.Provider, n.Name, n.Operator)));
    }

    /// <summary>Opens, runs nothing, counts: with the CPU alone the record of assignments suffices.</summary>
    internal static ModelPlacement Placement(ExecutionProviders providers, string path)
    {
        var (session, profile) = providers.Open(path);
        using (session)
        using (profile) return providers.Placed(path, session, profile);
    }

    /// <summary>Where there is a GPU or a Vulkan device these tests' premise does not hold.</summary>
    private static bool HasDevice => File.Exists("/dev/nvidiactl") || Directory.Exists("/dev/dri");

    private static ModelPlacement Of(params (string Provider, string Operator, int Count)[] nodes) =>
        new([.. nodes.SelectMany(n => Enumerable.Range(0, n.Count).Select(i => new PlacedNode(n.Provider, $"{n.Operator}{i}", n.Operator)))]);
}
