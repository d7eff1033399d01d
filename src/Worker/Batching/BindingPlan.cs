namespace Sluice.Worker.Batching;

/// <summary>A candidate for the binding of a model.</summary>
/// <param name="How">How runs access the tensors.</param>
/// <param name="Graph">Whether runs are captured as CUDA graphs and replayed.</param>
/// <param name="Why">Why no better binding is used, for operators; empty: this is the best one.</param>
public sealed record BindingPlan(TensorBinding How, bool Graph = false, string Why = "")
{
    /// <summary>
    /// Returns the bindings to try, the best one first. Each is verified when the model is loaded
    /// (<c>BindingChoice</c>). The list is empty if a CUDA graph is required and not possible; <see cref="NoGraph"/>
    /// returns the reason.
    /// </summary>
    public static IReadOnlyList<BindingPlan> Candidates(BindingFacts facts)
    {
        if (facts.GraphOption is not null)
            return NoGraph(facts) is null ? [new BindingPlan(TensorBinding.Staged, Graph: true)] : [];
        if (facts.OutputsVary is { } outputs) return [new BindingPlan(TensorBinding.None, Why: outputs)];
        // Variable inputs are possible here: their buffers are allocated and bound for the shape of each batch.
        if (facts.Provider == "cpu") return [new BindingPlan(TensorBinding.InPlace)];
        if (facts.InputsVary is { } inputs) return [new BindingPlan(TensorBinding.None, Why: inputs)];
        BindingPlan each = new(TensorBinding.EachRun), none = new(TensorBinding.None);
        return facts.Provider is "cuda" or "tensorrt" && CpuNodesReason(facts) is null
            ? [new BindingPlan(TensorBinding.Staged), each, none]
            : [each with { Why = CpuNodesReason(facts) ?? "" }, none];
    }

    /// <summary>
    /// Returns why CUDA graphs are not possible; null if they are. A graph replays fixed shapes at fixed addresses,
    /// and all nodes must be on the GPU.
    /// </summary>
    public static string? NoGraph(BindingFacts facts) => facts.Provider is "cuda" or "tensorrt"
        ? facts.InputsVary ?? facts.OutputsVary ?? CpuNodesReason(facts)
        : $"{facts.Provider} runs it";

    /// <summary>
    /// Returns the number of rows of the graph that runs a batch: the next power of two, at most the largest batch.
    /// The rows after the batch contain data of earlier batches, which is correct because rows are independent of
    /// each other.
    /// </summary>
    public static int Bucket(int rows, int max) =>
        Math.Min(max, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)rows));

    /// <summary>Returns all buckets in ascending order.</summary>
    public static IEnumerable<int> Buckets(int max)
    {
        for (var rows = 1; rows < max; rows *= 2) yield return rows;
        yield return max;
    }

    /// <summary>
    /// Returns why device buffers are not possible if nodes run on the CPU: ONNX Runtime copies an input that a CPU
    /// node reads when the input is bound, not when the model runs.
    /// </summary>
    private static string? CpuNodesReason(BindingFacts facts) =>
        facts.CpuNodes > 0 ? $"{facts.CpuNodes} nodes run on the CPU" : null;
}
