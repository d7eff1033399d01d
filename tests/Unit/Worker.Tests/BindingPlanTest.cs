using Sluice.Worker.Batching;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests the selection of a model's binding and of the memory of a decoder's cache, without a device.
/// </summary>
public sealed class BindingPlanTest
{
    public static TheoryData<string, BindingFacts, string> Facts => new()
    {
        { "the CPU", On("cpu"), "InPlace" },
        { "the CPU, rows of any shape", On("cpu") with { InputsVary = "v" }, "InPlace" },
        { "the CPU, outputs of any shape", On("cpu") with { OutputsVary = "v" }, "None (v)" },
        { "CUDA", On("cuda"), "Staged, EachRun, None" },
        { "TensorRT", On("tensorrt"), "Staged, EachRun, None" },
        { "CUDA with nodes on the CPU", On("cuda") with { CpuNodes = 2 }, "EachRun (2 nodes run on the CPU), None" },
        { "CUDA, rows of any shape", On("cuda") with { InputsVary = "v" }, "None (v)" },
        { "CUDA, outputs of any shape", On("cuda") with { OutputsVary = "v" }, "None (v)" },
        { "WebGPU", On("webgpu"), "EachRun, None" },
        { "a graph", On("cuda") with { GraphOption = "enable_cuda_graph" }, "Staged as graph" },
        { "a graph with nodes on the CPU", On("cuda") with { GraphOption = "enable_cuda_graph", CpuNodes = 1 }, "" },
        { "a graph of any shape", On("tensorrt") with { GraphOption = "trt_cuda_graph_enable", InputsVary = "v" }, "" },
        { "a graph where the CPU had to do", On("cpu") with { GraphOption = "enable_cuda_graph" }, "" },
    };

    [Theory]
    [MemberData(nameof(Facts))]
    public void Candidates_depend_on_provider_shapes_and_placement(
        string what,
        BindingFacts facts,
        string candidates) =>
        Assert.True(candidates == string.Join(", ", BindingPlan.Candidates(facts).Select(p =>
            p.How + (p.Graph ? " as graph" : "") + (p.Why.Length > 0 ? $" ({p.Why})" : ""))), what);

    [Fact]
    public void NoGraph_returns_the_reason()
    {
        Assert.Null(BindingPlan.NoGraph(On("cuda")));
        Assert.Equal("webgpu runs it", BindingPlan.NoGraph(On("webgpu")));
        Assert.Equal("1 nodes run on the CPU", BindingPlan.NoGraph(On("cuda") with { CpuNodes = 1 }));
        Assert.Equal("v", BindingPlan.NoGraph(On("cuda") with { OutputsVary = "v" }));
    }

    [Theory]
    [InlineData(32, "1,2,4,8,16,32")]
    [InlineData(20, "1,2,4,8,16,20")]
    [InlineData(1, "1")]
    public void Buckets_are_powers_of_two_and_cover_every_batch(int max, string buckets)
    {
        Assert.Equal(buckets, string.Join(',', BindingPlan.Buckets(max)));
        for (var rows = 1; rows <= max; rows++)
            Assert.Equal(BindingPlan.Buckets(max).First(b => b >= rows), BindingPlan.Bucket(rows, max));
    }

    [Theory]
    [InlineData("cpu", "GroupQueryAttention@cpu MatMul@cpu", false)]
    [InlineData("webgpu", "GroupQueryAttention@webgpu MatMul@webgpu", true)]
    [InlineData("cuda", "GroupQueryAttention@cpu MatMul@cuda", false)]
    [InlineData("tensorrt", "GroupQueryAttention@cuda MatMul@tensorrt", true)]
    [InlineData("tensorrt", "TRTKernel@tensorrt", true)]
    [InlineData("tensorrt", "Attention@cuda Attention@tensorrt", true)]
    [InlineData("webgpu", "Attention@webgpu Attention@cpu", null)]
    public void The_cache_of_a_decoder_is_in_the_memory_of_its_attention(string provider, string nodes, bool? onDevice)
    {
        var placement = new ModelPlacement(
            [.. nodes.Split(' ').Select(n => n.Split('@')).Select((n, i) => new PlacedNode(n[1], $"{i}", n[0]))]);
        if (onDevice is { } expected) Assert.Equal(expected, KvCacheLocation.OnDevice(placement, provider));
        else Assert.Contains("spread over several devices",
            Assert.Throws<NotSupportedException>(() => KvCacheLocation.OnDevice(placement, provider)).Message,
            StringComparison.Ordinal);
    }

    private static BindingFacts On(string provider) => new() { Provider = provider };
}
