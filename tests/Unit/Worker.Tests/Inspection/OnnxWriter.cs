using System.Text;
using Google.Protobuf;
using Sluice.Testing;
using Sluice.Testing.Onnx;

namespace Sluice.Worker.Tests.Inspection;

/// <summary>
/// Writes ONNX models that no exporter writes: every method returns the bytes of one message or field, and a test joins
/// them in any order and number. The classes that are generated from <c>onnx.proto</c> can only write valid messages.
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

    /// <summary>
    /// Writes a chain of square MatMuls on float32, with weights of a fixed seed that are small enough to keep the
    /// values finite.
    /// </summary>
    /// <param name="to">Receives the model.</param>
    /// <param name="layers">The number of MatMuls.</param>
    /// <param name="width">The number of columns.</param>
    /// <param name="metadata">Written as metadata_props.</param>
    public static void MatMulChain(Stream to, int layers, int width, params (string Key, string Value)[] metadata)
    {
        var random = new Random(7);
        var graph = new GraphProto
        {
            Name = "chain",
            Input = { TinyModel.Value("in", "FP32", -1, width) },
            Output = { TinyModel.Value("out", "FP32", -1, width) },
        };
        for (var i = 0; i < layers; i++)
        {
            var weights = new float[width * width];
            for (var j = 0; j < weights.Length; j++) weights[j] = (random.NextSingle() - 0.5f) * 4 / MathF.Sqrt(width);
            var isLast = i + 1 == layers;
            graph.Node.Add(TinyModel.Node("MatMul", [i == 0 ? "in" : $"x{i}", $"w{i}"], isLast ? "out" : $"m{i}"));
            if (!isLast) graph.Node.Add(TinyModel.Node("Relu", [$"m{i}"], $"x{i + 1}"));
            graph.Initializer.Add(TinyModel.Tensor($"w{i}", weights, width, width));
        }

        var model = new ModelProto
        {
            IrVersion = 8,
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } },
        };
        foreach (var (key, value) in metadata)
            model.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });
        model.WriteTo(to);
    }

    public static byte[] Text(int field, string value) => Field(field, Encoding.UTF8.GetBytes(value));

    public static byte[] Field(int field, byte[] value) => Join(
        Write(o => o.WriteTag(field, WireFormat.WireType.LengthDelimited)), Varint((ulong)value.Length), value);

    public static byte[] Number(int field, long value) => Write(o =>
    {
        o.WriteTag(field, WireFormat.WireType.Varint);
        o.WriteInt64(value);
    });

    public static byte[] Varint(ulong value) => Write(o => o.WriteUInt64(value));

    public static byte[] Join(params byte[][] parts)
    {
        var joined = new byte[parts.Sum(p => p.Length)];
        var at = 0;
        foreach (var part in parts)
        {
            part.CopyTo(joined, at);
            at += part.Length;
        }

        return joined;
    }

    private static byte[] Write(Action<CodedOutputStream> write)
    {
        var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true)) write(output);
        return bytes.ToArray();
    }
}
