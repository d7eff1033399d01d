namespace Sluice.Worker.Configuration;

/// <summary>
/// Limits of a model file, checked before ONNX Runtime reads it. The defaults accept every model of the public model
/// zoos and prevent that a small file allocates much memory.
/// </summary>
public sealed record ModelLimits
{
    /// <summary>
    /// Operator domains that ONNX Runtime contains. Other domains need a custom operator library. Such libraries are
    /// native code and are never loaded.
    /// </summary>
    public static readonly IReadOnlyList<string> BuiltInDomains =
    [
        "", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training", "com.microsoft",
        "com.microsoft.nchwc", "com.ms.internal.nhwc", "com.microsoft.experimental", "com.microsoft.dml",
        "org.pytorch.aten",
    ];

    /// <summary>
    /// Largest size in bytes of model.onnx with its external files, and of all tensors that it declares. Default 16
    /// GiB.
    /// </summary>
    public long MaxModelBytes { get; init; } = 16L << 30;

    /// <summary>
    /// Largest number of nodes, including those of subgraphs and functions. A decoder with 70 billion parameters has
    /// about 10 000.
    /// </summary>
    public long MaxNodes { get; init; } = 1_000_000;

    /// <summary>Largest number of tensors: initializers, sparse initializers, and tensors in attributes.</summary>
    public long MaxTensors { get; init; } = 1_000_000;

    /// <summary>
    /// Largest nesting depth of subgraphs (If, Loop, Scan). Exporters write up to 4 levels. Protobuf's nesting limit
    /// of 100 messages allows 33 levels.
    /// </summary>
    public int MaxSubgraphDepth { get; init; } = 16;

    /// <summary>
    /// Domains that a model can import: the built-in ones and those that the operator of the worker adds.
    /// </summary>
    public IReadOnlyCollection<string> Domains { get; init; } = BuiltInDomains;

    /// <summary>
    /// Reads SLUICE_MAX_MODEL_BYTES, SLUICE_MAX_MODEL_NODES and SLUICE_MODEL_DOMAINS (a comma-separated list that
    /// extends the built-in domains). Throws with name, value and rule if a value is invalid.
    /// </summary>
    public static ModelLimits Read(Func<string, string?> env)
    {
        var defaults = new ModelLimits();
        return new ModelLimits
        {
            MaxModelBytes = WorkerSettings.Number(env, "SLUICE_MAX_MODEL_BYTES", 1, 1L << 50) ?? defaults.MaxModelBytes,
            MaxNodes = WorkerSettings.Number(env, "SLUICE_MAX_MODEL_NODES", 1, 1L << 40) ?? defaults.MaxNodes,
            Domains = [.. BuiltInDomains, .. WorkerSettings.List(env, "SLUICE_MODEL_DOMAINS") ?? []],
        };
    }
}
