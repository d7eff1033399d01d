using System.Text;

namespace Sluice.Testing;

/// <summary>
/// Writes minimal ONNX models in protobuf's wire format (github.com/onnx/onnx/blob/main/onnx/onnx.proto), so that a
/// test's model is part of the test's code and not a binary file.
/// </summary>
public static class TinyModel
{
    /// <summary>ONNX's numbers of the element types, by the names of the Open Inference Protocol.</summary>
    public static readonly IReadOnlyDictionary<string, int> ElementTypes = new Dictionary<string, int>
    {
        ["FP32"] = 1,
        ["UINT8"] = 2,
        ["INT8"] = 3,
        ["UINT16"] = 4,
        ["INT16"] = 5,
        ["INT32"] = 6,
        ["INT64"] = 7,
        ["BYTES"] = 8,
        ["BOOL"] = 9,
        ["FP16"] = 10,
        ["FP64"] = 11,
        ["UINT32"] = 12,
        ["UINT64"] = 13,
        ["BF16"] = 16,
    };

    /// <summary>A model whose output <c>out</c> is its input <c>in</c>.</summary>
    /// <param name="type">Protocol name of the datatype.</param>
    /// <param name="dimensions">-1: any.</param>
    public static byte[] Identity(string type, params int[] dimensions) =>
        Model("Identity", ["in"], "out", type, dimensions);

    /// <summary>A model whose output <c>sum</c> is the sum of its inputs <c>a</c> and <c>b</c>.</summary>
    public static byte[] Add(string type, params int[] dimensions) => Model("Add", ["a", "b"], "sum", type, dimensions);

    /// <summary>
    /// A model whose rows depend on each other: the softmax over its only dimension, from <c>in</c> to <c>out</c>.
    /// </summary>
    public static byte[] Softmax() => Model("Softmax", ["in"], "out", "FP32", [-1]);

    /// <summary>
    /// A model that fails for some inputs: <c>out</c> is row <c>in</c> (INT64 [-1]) of a table [[0,1],[2,3],[4,5]].
    /// </summary>
    public static byte[] Lookup()
    {
        var values = new byte[24];
        for (var i = 0; i < 6; i++) BitConverter.GetBytes((float)i).CopyTo(values, 4 * i);
        var type = Number(2, ElementTypes["FP32"]);
        var table = Bytes([Number(1, 3), Number(1, 2), type, Text(8, "table"), Field(9, values)]);
        var node = Bytes([Text(1, "table"), Text(1, "in"), Text(2, "out"), Text(4, "Gather")]);
        var (input, output) = (Value("in", "INT64", [-1]), Value("out", "FP32", [-1, 2]));
        var graph = Bytes([Field(1, node), Text(2, "tiny"), Field(5, table), Field(11, input), Field(12, output)]);
        return Bytes([Number(1, 8), Field(7, graph), Field(8, Bytes([Text(1, ""), Number(2, 17)]))]);
    }

    /// <summary>
    /// A network with the sizes 784-512-512-10, ReLU between its layers and random weights, from <c>in</c> to
    /// <c>out</c>.
    /// </summary>
    public static byte[] Mlp()
    {
        int[] sizes = [784, 512, 512, 10];
        var random = new Random(1);
        var (nodes, weights, last) = (new List<byte[]>(), new List<byte[]>(), "in");
        for (var i = 0; i + 1 < sizes.Length; i++)
        {
            var values = new byte[4 * sizes[i] * sizes[i + 1]];
            for (var n = 0; n < values.Length; n += 4)
                BitConverter.TryWriteBytes(values.AsSpan(n), (float)((random.NextDouble() - 0.5) / 16));
            var shape = new[] { Number(1, sizes[i]), Number(1, sizes[i + 1]) };
            weights.Add(Bytes([.. shape, Number(2, ElementTypes["FP32"]), Text(8, $"w{i}"), Field(9, values)]));
            var final = i + 2 == sizes.Length;
            nodes.Add(Bytes([Text(1, last), Text(1, $"w{i}"), Text(2, final ? "out" : $"m{i}"), Text(4, "MatMul")]));
            if (!final) nodes.Add(Bytes([Text(1, $"m{i}"), Text(2, last = $"r{i}"), Text(4, "Relu")]));
        }

        var (input, output) = (Value("in", "FP32", [-1, 784]), Value("out", "FP32", [-1, 10]));
        var graph = Bytes([.. nodes.Select(n => Field(1, n)), Text(2, "mlp"), .. weights.Select(w => Field(5, w)),
            Field(11, input), Field(12, output)]);
        return Bytes([Number(1, 8), Field(7, graph), Field(8, Bytes([Text(1, ""), Number(2, 17)]))]);
    }

    /// <summary>Writes a model into a repository.</summary>
    public static void Put(string repository, string name, byte[] model, int version = 1)
    {
        var folder = Directory.CreateDirectory(Path.Combine(repository, name, $"{version}")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), model);
    }

    private static byte[] Model(string operation, string[] inputs, string output, string type, int[] dimensions)
    {
        var node = Bytes([.. inputs.Select(i => Text(1, i)), Text(2, output), Text(4, operation)]);
        var values = inputs.Select(i => Field(11, Value(i, type, dimensions)));
        var result = Field(12, Value(output, type, dimensions));
        var graph = Bytes([Field(1, node), Text(2, "tiny"), .. values, result]);
        return Bytes([Number(1, 8), Field(7, graph), Field(8, Bytes([Text(1, ""), Number(2, 17)]))]);
    }

    private static byte[] Value(string name, string type, int[] dimensions)
    {
        var shape = Bytes([.. dimensions.Select((d, i) => Field(1, d < 0 ? Text(2, $"d{i}") : Number(1, d)))]);
        var tensor = Bytes([Number(1, ElementTypes[type]), Field(2, shape)]);
        return Bytes([Text(1, name), Field(2, Field(1, tensor))]);
    }

    private static byte[] Text(int field, string value) => Field(field, Encoding.UTF8.GetBytes(value));

    private static byte[] Field(int field, byte[] value) =>
        [.. Varint(field << 3 | 2), .. Varint(value.Length), .. value];

    private static byte[] Number(int field, int value) => [.. Varint(field << 3), .. Varint(value)];

    private static byte[] Bytes(byte[][] parts) => [.. parts.SelectMany(p => p)];

    private static byte[] Varint(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }
}
