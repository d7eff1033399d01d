namespace Sluice.Worker.Models.Inspection;

/// <summary>Facts of a model file, read without ONNX Runtime.</summary>
public sealed record ModelFacts
{
    /// <summary>Path of the file that was inspected.</summary>
    public required string Path { get; init; }

    /// <summary>Version of ONNX's intermediate representation. 0 if the file does not contain it.</summary>
    public required long IrVersion { get; init; }

    /// <summary>Name of the exporter, at most 256 bytes. Empty if the file does not contain it.</summary>
    public required string Producer { get; init; }

    public required string ProducerVersion { get; init; }

    /// <summary>Versions of the imported operator sets by domain. The standard domain is the empty string.</summary>
    public required IReadOnlyDictionary<string, long> Opsets { get; init; }

    /// <summary>Number of nodes, including those of subgraphs and functions.</summary>
    public required long Nodes { get; init; }

    /// <summary>Number of stored tensors: initializers, sparse initializers, and tensors in attributes.</summary>
    public required long Tensors { get; init; }

    /// <summary>Bytes of all stored tensors when unpacked. Sparse tensors count with their dense size.</summary>
    public required long InitializerBytes { get; init; }

    /// <summary>Bytes of model.onnx and of its external files on disk.</summary>
    public required long ModelBytes { get; init; }

    /// <summary>
    /// Full paths of the files that hold external tensors, without duplicates, in ordinal order. A hash of the model
    /// must cover them.
    /// </summary>
    public required IReadOnlyList<string> ExternalFiles { get; init; }

    /// <summary>
    /// Bytes of stored tensors by element type. The names are those of the inference protocol: FP32, FP16, BF16,
    /// INT8, INT4, FP8E4M3FN and others.
    /// </summary>
    public required IReadOnlyDictionary<string, long> BytesByType { get; init; }

    /// <summary>Element types of inputs, outputs and named values, with the names of the inference protocol.</summary>
    public required IReadOnlySet<string> ValueTypes { get; init; }

    /// <summary>
    /// Whether the graph has an input whose name begins with <see cref="OnnxModel.CachePrefix"/>, so that the model is
    /// run once for each token of a text.
    /// </summary>
    public required bool HasCache { get; init; }

    /// <summary>Element type of most of the weights. FP32 for a model without weights.</summary>
    public string Precision => BytesByType.Count == 0 ? "FP32" : BytesByType.MaxBy(t => t.Value).Key;
}
