using System.Text;
using Google.Protobuf;
using Sluice.Testing.Onnx;

namespace Sluice.Worker.Tests.Backend;

/// <summary>A tensor of ONNX's test data (a serialised TensorProto), as the protocol carries it: datatype, shape, bytes.</summary>
/// <param name="Type">The protocol's name of the datatype; null: it has none.</param>
/// <param name="Shape">Dimensions.</param>
/// <param name="Raw">Elements, little-endian; BYTES with a 32-bit length before each.</param>
internal sealed record OnnxTensor(string? Type, long[] Shape, byte[] Raw)
{
    private static readonly Dictionary<int, string> Types = new()
    {
        [1] = "FP32", [2] = "UINT8", [3] = "INT8", [4] = "UINT16", [5] = "INT16", [6] = "INT32", [7] = "INT64", [8] = "BYTES", [9] = "BOOL",
        [10] = "FP16", [11] = "FP64", [12] = "UINT32", [13] = "UINT64", [16] = "BF16",
    };

    public long Count => Shape.Aggregate(1L, (a, d) => a * d);

    /// <summary>Reads a file. Null: it contains no tensor (a sequence, an optional).</summary>
    public static OnnxTensor? Read(string path)
    {
        TensorProto tensor;
        try
        {
            tensor = TensorProto.Parser.ParseFrom(File.ReadAllBytes(path));
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }

        return tensor.HasSegment ? null
            : new OnnxTensor(Types.GetValueOrDefault(tensor.DataType), [.. tensor.Dims], Elements(tensor));
    }

    /// <summary>As numbers, to compare; BYTES as they are.</summary>
    public IEnumerable<object> Elements()
    {
        if (Type == "BYTES")
        {
            for (var at = 0; at < Raw.Length; at += 4 + BitConverter.ToInt32(Raw, at)) yield return Encoding.UTF8.GetString(Raw, at + 4, BitConverter.ToInt32(Raw, at));
            yield break;
        }

        var size = Type switch { "BOOL" or "INT8" or "UINT8" => 1, "INT16" or "UINT16" or "FP16" or "BF16" => 2, "FP64" or "INT64" or "UINT64" => 8, _ => 4 };
        for (var at = 0; at < Raw.Length; at += size)
            yield return Type switch
            {
                "FP32" => (double)BitConverter.ToSingle(Raw, at),
                "FP64" => BitConverter.ToDouble(Raw, at),
                "FP16" => (double)BitConverter.ToHalf(Raw, at),
                "BF16" => (double)BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(Raw, at) << 16),
                "INT8" => (decimal)(sbyte)Raw[at],
                "UINT8" or "BOOL" => (decimal)Raw[at],
                "INT16" => (decimal)BitConverter.ToInt16(Raw, at),
                "UINT16" => (decimal)BitConverter.ToUInt16(Raw, at),
                "INT32" => (decimal)BitConverter.ToInt32(Raw, at),
                "UINT32" => (decimal)BitConverter.ToUInt32(Raw, at),
                "INT64" => (decimal)BitConverter.ToInt64(Raw, at),
                _ => (decimal)BitConverter.ToUInt64(Raw, at),
            };
    }

    /// <summary>The elements as bytes; the width of those in a typed list is the datatype's.</summary>
    private static byte[] Elements(TensorProto tensor)
    {
        if (tensor.RawData.Length > 0) return tensor.RawData.ToByteArray();
        var size = tensor.DataType switch { 2 or 3 or 9 => 1, 4 or 5 or 10 or 16 => 2, 7 or 13 => 8, _ => 4 };
        return
        [
            .. tensor.FloatData.SelectMany(BitConverter.GetBytes),
            .. tensor.DoubleData.SelectMany(BitConverter.GetBytes),
            .. tensor.StringData.SelectMany(s => (byte[])[.. BitConverter.GetBytes(s.Length), .. s]),
            .. tensor.Int32Data.SelectMany(n => BitConverter.GetBytes(n)[..size]),
            .. tensor.Int64Data.SelectMany(n => BitConverter.GetBytes(n)[..size]),
            .. tensor.Uint64Data.SelectMany(n => BitConverter.GetBytes(n)[..size]),
        ];
    }
}
