namespace Sluice.Worker.Batching;

/// <summary>How a model's runs reach their tensors.</summary>
public enum TensorBinding
{
    /// <summary>ONNX Runtime is given them with each run, and allocates the outputs.</summary>
    None,

    /// <summary>Bound once for each number of rows: the CPU reads and writes the buffers themselves.</summary>
    InPlace,

    /// <summary>Bound for each run: ONNX Runtime copies an input to the device at the moment when it is bound.</summary>
    EachRun,

    /// <summary>Buffers on the device, bound once for each number of rows; a run's rows are copied into them and out of them.</summary>
    Staged,
}

/// <summary>What decides how a model is bound.</summary>
public sealed record BindingFacts
{
    /// <summary>What runs the model: the first provider that could be had.</summary>
    public required string Provider { get; init; }

    /// <summary>Nodes on the CPU.</summary>
    public int CpuNodes { get; init; }

    /// <summary>Why the inputs' shapes are not known before a request comes; null: they are, but for the rows of a batch.</summary>
    public string? InputsVary { get; init; }

    /// <summary>Likewise of the outputs.</summary>
    public string? OutputsVary { get; init; }

    /// <summary>The option that wishes CUDA graphs, where it is on.</summary>
    public string? GraphOption { get; init; }
}

/// <summary>One way to bind a model.</summary>
/// <param name="How">Which.</param>
/// <param name="Graph">Runs are captured as CUDA graphs and replayed.</param>
/// <param name="Why">Why no better one, for operators; empty: there is none.</param>
public sealed record BindingPlan(TensorBinding How, bool Graph = false, string Why = "")
{
    /// <summary>
    /// Ways to try, the best first; each is proven at load before it serves (<c>BindingChoice</c>). Empty: a CUDA graph is wished and cannot be had, as
    /// <see cref="NoGraph"/> says.
    /// </summary>
    public static IReadOnlyList<BindingPlan> Candidates(BindingFacts facts)
    {
        if (facts.GraphOption is not null) return NoGraph(facts) is null ? [new BindingPlan(TensorBinding.Staged, Graph: true)] : [];
        if (facts.OutputsVary is { } outputs) return [new BindingPlan(TensorBinding.None, Why: outputs)];
        // The inputs' buffers are made for each batch's shape, and bound there.
        if (facts.Provider == "cpu") return [new BindingPlan(TensorBinding.InPlace)];
        if (facts.InputsVary is { } inputs) return [new BindingPlan(TensorBinding.None, Why: inputs)];
        BindingPlan each = new(TensorBinding.EachRun), none = new(TensorBinding.None);
        return facts.Provider is "cuda" or "tensorrt" && Copies(facts) is null ? [new BindingPlan(TensorBinding.Staged), each, none]
            : [each with { Why = Copies(facts) ?? "" }, none];
    }

    /// <summary>Why CUDA graphs cannot be had, or null: a graph replays fixed shapes at fixed addresses, all of it on the GPU.</summary>
    public static string? NoGraph(BindingFacts facts) =>
        facts.Provider is not ("cuda" or "tensorrt") ? $"{facts.Provider} runs it" : facts.InputsVary ?? facts.OutputsVary ?? Copies(facts);

    /// <summary>Rows that a graph is captured for: the power of two that holds a batch, or the largest batch. The rows beyond the batch's own are those of
    /// earlier ones: no row depends on another.</summary>
    public static int Bucket(int rows, int max) => Math.Min(max, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)rows));

    /// <summary>Every bucket, the smallest first.</summary>
    public static IEnumerable<int> Buckets(int max)
    {
        for (var rows = 1; rows < max; rows *= 2) yield return rows;
        yield return max;
    }

    /// <summary>ONNX Runtime copies an input that a node on the CPU reads when it is bound, not when it runs.</summary>
    private static string? Copies(BindingFacts facts) => facts.CpuNodes > 0 ? $"{facts.CpuNodes} nodes run on the CPU" : null;
}
