namespace Sluice.Worker.Models.Inspection;

/// <summary>What a model file says of itself, read without ONNX Runtime.</summary>
public sealed record ModelFacts
{
    /// <summary>Path of the file that was inspected.</summary>
    public required string Path { get; init; }

    /// <summary>Version of ONNX's intermediate representation; 0 when the file does not say.</summary>
    public required long IrVersion { get; init; }

    /// <summary>The exporter's name, empty when the file does not say; at most 256 bytes of it.</summary>
    public required string Producer { get; init; }

    public required string ProducerVersion { get; init; }

    /// <summary>Versions of the imported operator sets by domain; the standard domain is the empty string.</summary>
    public required IReadOnlyDictionary<string, long> Opsets { get; init; }

    /// <summary>Nodes, those of subgraphs and functions included.</summary>
    public required long Nodes { get; init; }

    /// <summary>Tensors stored with the model: initializers, sparse ones, and those in attributes.</summary>
    public required long Tensors { get; init; }

    /// <summary>Bytes of all stored tensors once unpacked, sparse ones dense.</summary>
    public required long InitializerBytes { get; init; }

    /// <summary>Bytes of model.onnx and of its external files on disk.</summary>
    public required long ModelBytes { get; init; }

    /// <summary>Full paths of the files that hold external tensors, each once, in ordinal order: a hash of the model must cover them.</summary>
    public required IReadOnlyList<string> ExternalFiles { get; init; }

    /// <summary>Bytes of stored tensors by element type, in the protocol's words: FP32, FP16, BF16, INT8, INT4, FP8E4M3FN...</summary>
    public required IReadOnlyDictionary<string, long> BytesByType { get; init; }

    /// <summary>Element types of inputs, outputs and named values, in the protocol's words.</summary>
    public required IReadOnlySet<string> ValueTypes { get; init; }

    /// <summary>The element type that most of the weights have; FP32 for a model without weights.</summary>
    public string Precision => BytesByType.Count == 0 ? "FP32" : BytesByType.MaxBy(t => t.Value).Key;
}
