using System.Text;

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

    /// <summary>Reads a file; null when it is no tensor (a sequence, an optional).</summary>
    public static OnnxTensor? Read(string path)
    {
        var dims = new List<long>();
        var type = 0;
        var raw = Array.Empty<byte>();
        var values = new MemoryStream();
        var data = File.ReadAllBytes(path);
        for (var at = 0; at < data.Length;)
        {
            var key = Varint(data, ref at);
            var (field, wire) = ((int)(key >> 3), (int)(key & 7));
            if (wire == 0)
            {
                var value = Varint(data, ref at);
                if (field == 1) dims.Add((long)value);
                else if (field == 2) type = (int)value;
                else Put(values, type, field, value);
                continue;
            }

            if (wire != 2) return null;
            var length = (int)Varint(data, ref at);
            var part = data.AsSpan(at, length);
            at += length;
            if (field == 1) for (var i = 0; i < part.Length;) dims.Add((long)Varint(part, ref i));
            else if (field == 9) raw = part.ToArray();
            else if (field == 4 || field == 10) values.Write(part);
            else if (field == 6) values.Write([.. BitConverter.GetBytes(part.Length), .. part]);
            else if (field is 5 or 7 or 11) for (var i = 0; i < part.Length;) Put(values, type, field, Varint(part, ref i));
            else if (field is not (8 or 12)) return null;
        }

        return new OnnxTensor(Types.GetValueOrDefault(type), [.. dims], raw.Length > 0 ? raw : values.ToArray());
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

    /// <summary>An element in one of the typed lists: its width is the datatype's.</summary>
    private static void Put(MemoryStream values, int type, int field, ulong value)
    {
        if (field is not (5 or 7 or 11)) return;
        var size = type switch { 2 or 3 or 9 => 1, 4 or 5 or 10 or 16 => 2, 7 or 13 => 8, _ => 4 };
        values.Write(BitConverter.GetBytes(value).AsSpan(0, size));
    }

    private static ulong Varint(ReadOnlySpan<byte> data, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = data[at++];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80) return value;
        }
    }
}
