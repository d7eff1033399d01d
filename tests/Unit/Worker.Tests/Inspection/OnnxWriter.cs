using System.Globalization;
using System.Text;

namespace Sluice.Worker.Tests.Inspection;

/// <summary>
/// Writes ONNX models in protobuf's wire format, honest and hostile ones: every method gives the bytes of one message or
/// field, so that a test can put them together as no exporter would. Field numbers: onnx.proto3.
/// </summary>
internal static class OnnxWriter
{
    public const int FP32 = 1, INT8 = 3, INT64 = 7, BYTES = 8, FP16 = 10;

    /// <summary>A ModelProto of the graph, with the standard operators, version 17, and whatever else is given.</summary>
    public static byte[] Model(byte[] graph, params byte[][] more) =>
        Join([Number(1, 8), Text(2, "sluice-tests"), Text(3, "1"), Field(7, graph), Field(8, Opset("", 17)), .. more]);

    public static byte[] Opset(string domain, long version) => Join(Text(1, domain), Number(2, version));

    /// <summary>A GraphProto; its parts are fields of their own: <see cref="Field"/> 1 for a node, 5 for an initializer...</summary>
    public static byte[] Graph(params byte[][] parts) => Join([Text(2, "g"), .. parts]);

    public static byte[] Node(string operation, string input, string output, params byte[][] more) =>
        Join([Text(1, input), Text(2, output), Text(4, operation), .. more]);

    /// <summary>A TensorProto of type, shape and raw_data, the latter left out when null.</summary>
    public static byte[] Tensor(string name, int type, long[] shape, byte[]? raw, params byte[][] more) =>
        Join([.. shape.Select(d => Number(1, d)), Number(2, type), Text(8, name), .. raw is null ? [] : new[] { Field(9, raw) }, .. more]);

    /// <summary>Four floats in an external file.</summary>
    public static byte[] External(string location, string? offset = null, string? length = null) =>
        ExternalBytes(Encoding.UTF8.GetBytes(location), offset, length);

    public static byte[] ExternalBytes(byte[] location, string? offset = null, string? length = null) => Tensor("w", FP32, [4], null,
    [
        Field(13, Join(Text(1, "location"), Field(2, location))),
        .. offset is null ? [] : new[] { Field(13, Join(Text(1, "offset"), Text(2, offset))) },
        .. length is null ? [] : new[] { Field(13, Join(Text(1, "length"), Text(2, length))) },
        Number(14, 1),
    ]);

    /// <summary>A ValueInfoProto of a tensor; -1 for what may vary.</summary>
    public static byte[] Value(string name, int type, params long[] shape)
    {
        var dims = Join([.. shape.Select((d, i) => Field(1, d < 0 ? Text(2, $"d{i}") : Number(1, d)))]);
        return Join(Text(1, name), Field(2, Field(1, Join(Number(1, type), Field(2, dims)))));
    }

    /// <summary>An AttributeProto that holds a message: field 5 a tensor, 6 a graph, 22 a sparse tensor.</summary>
    public static byte[] Attribute(string name, int field, byte[] value) =>
        Join(Text(1, name), Field(field, value), Number(20, field switch { 5 => 4, 6 => 5, _ => 11 }));

    /// <summary>A chain of square MatMuls on float32, with weights of a fixed seed, small enough that values stay finite.</summary>
    /// <param name="metadata">Written as metadata_props.</param>
    public static void MatMulChain(Stream to, int layers, int width, params (string Key, string Value)[] metadata)
    {
        var random = new Random(7);
        var parts = new List<byte[]> { Text(2, "chain") };
        for (var i = 0; i < layers; i++)
        {
            var weights = new float[width * width];
            for (var j = 0; j < weights.Length; j++) weights[j] = (random.NextSingle() - 0.5f) * 4 / MathF.Sqrt(width);
            var raw = System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(weights).ToArray();
            var (w, relu) = (string.Create(CultureInfo.InvariantCulture, $"w{i}"), i + 1 < layers);
            parts.Add(Field(1, Join(Text(1, i == 0 ? "in" : $"x{i}"), Text(1, w), Text(2, relu ? $"m{i}" : "out"), Text(4, "MatMul"))));
            if (relu) parts.Add(Field(1, Node("Relu", $"m{i}", $"x{i + 1}")));
            parts.Add(Field(5, Tensor(w, FP32, [width, width], raw)));
        }

        parts.Add(Field(11, Value("in", FP32, -1, width)));
        parts.Add(Field(12, Value("out", FP32, -1, width)));
        to.Write(Join([Number(1, 8)]));
        to.Write(Varint((7 << 3) | 2));
        to.Write(Varint((ulong)parts.Sum(p => (long)p.Length)));
        foreach (var part in parts) to.Write(part);
        to.Write(Field(8, Opset("", 17)));
        foreach (var (key, value) in metadata) to.Write(Field(14, Join(Text(1, key), Text(2, value))));
    }

    public static byte[] Text(int field, string value) => Field(field, Encoding.UTF8.GetBytes(value));

    public static byte[] Field(int field, byte[] value) => Join(Varint((uint)field << 3 | 2), Varint((ulong)value.Length), value);

    public static byte[] Number(int field, long value) => Join(Varint((uint)field << 3), Varint((ulong)value));

    public static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }

    public static byte[] Join(params byte[][] parts) => [.. parts.SelectMany(p => p)];
}
