namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// What a model file may ask for before ONNX Runtime sees it. The defaults let every model of the public zoos through
/// and stop a small file from asking for much.
/// </summary>
public sealed record ModelLimits
{
    /// <summary>Domains of operators that ONNX Runtime has built in. Everything else would need a custom-op library, and
    /// those are never loaded: they are native code.</summary>
    public static readonly IReadOnlyList<string> BuiltInDomains =
    [
        "", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training", "com.microsoft",
        "com.microsoft.nchwc", "com.ms.internal.nhwc", "com.microsoft.experimental", "com.microsoft.dml",
        "org.pytorch.aten",
    ];

    /// <summary>Bytes of model.onnx with its external files, and bytes of all tensors that it declares. 16 GiB.</summary>
    public long MaxModelBytes { get; init; } = 16L << 30;

    /// <summary>Nodes, those of subgraphs and functions included. A 70-billion-parameter decoder has about 10 000.</summary>
    public long MaxNodes { get; init; } = 1_000_000;

    /// <summary>Tensors: initializers, sparse ones, and those in attributes.</summary>
    public long MaxTensors { get; init; } = 1_000_000;

    /// <summary>Subgraphs within subgraphs (If, Loop, Scan). Exporters reach 4; protobuf's own nesting limit (100
    /// messages) ends at 33.</summary>
    public int MaxSubgraphDepth { get; init; } = 16;

    /// <summary>Domains a model may import: the built-in ones and those an operator of this worker adds.</summary>
    public IReadOnlyCollection<string> Domains { get; init; } = BuiltInDomains;

    /// <summary>Reads SLUICE_MAX_MODEL_BYTES, SLUICE_MAX_MODEL_NODES and SLUICE_MODEL_DOMAINS (added to the built-in ones,
    /// separated by commas); throws with name, value and what is expected.</summary>
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
