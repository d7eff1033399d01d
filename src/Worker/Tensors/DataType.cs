using Microsoft.ML.OnnxRuntime.Tensors;

namespace Sluice.Worker.Tensors;

/// <summary>A tensor datatype of the Open Inference Protocol and its ONNX Runtime type.</summary>
/// <param name="Name">Name in the protocol: FP32, INT64, BYTES and others.</param>
/// <param name="Element">Element type in ONNX Runtime.</param>
/// <param name="Size">Bytes of one element. 0 for BYTES, whose elements have different sizes.</param>
public sealed record DataType(string Name, TensorElementType Element, int Size)
{
    private static readonly DataType[] All =
    [
        new("BOOL", TensorElementType.Bool, 1),
        new("UINT8", TensorElementType.UInt8, 1),
        new("UINT16", TensorElementType.UInt16, 2),
        new("UINT32", TensorElementType.UInt32, 4),
        new("UINT64", TensorElementType.UInt64, 8),
        new("INT8", TensorElementType.Int8, 1),
        new("INT16", TensorElementType.Int16, 2),
        new("INT32", TensorElementType.Int32, 4),
        new("INT64", TensorElementType.Int64, 8),
        new("FP16", TensorElementType.Float16, 2),
        new("BF16", TensorElementType.BFloat16, 2),
        new("FP32", TensorElementType.Float, 4),
        new("FP64", TensorElementType.Double, 8),
        new("BYTES", TensorElementType.String, 0),
    ];

    public bool IsBytes => Size == 0;

    public static IEnumerable<string> Names => All.Select(t => t.Name);

    /// <summary>Returns the datatype with this protocol name, or null.</summary>
    public static DataType? FromName(string name) => Array.Find(All, t => t.Name == name);

    /// <summary>
    /// Returns the datatype for this element type, or null for types that the protocol does not support (complex
    /// numbers, 4- and 8-bit floats).
    /// </summary>
    public static DataType? FromElementType(TensorElementType element) => Array.Find(All, t => t.Element == element);
}
