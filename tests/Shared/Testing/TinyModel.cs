using System.Runtime.InteropServices;
using Google.Protobuf;
using Sluice.Testing.Onnx;

namespace Sluice.Testing;

/// <summary>
/// Creates minimal ONNX models (<c>onnx.proto</c>), so that a test's model is part of the test's code and not a binary
/// file.
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
        OneNode("Identity", ["in"], "out", type, dimensions);

    /// <summary>A model whose output <c>sum</c> is the sum of its inputs <c>a</c> and <c>b</c>.</summary>
    public static byte[] Add(string type, params int[] dimensions) =>
        OneNode("Add", ["a", "b"], "sum", type, dimensions);

    /// <summary>
    /// A model whose rows depend on each other: the softmax over its only dimension, from <c>in</c> to <c>out</c>.
    /// </summary>
    public static byte[] Softmax() => OneNode("Softmax", ["in"], "out", "FP32", [-1]);

    /// <summary>
    /// A model that fails for some inputs: <c>out</c> is row <c>in</c> (INT64 [-1]) of a table [[0,1],[2,3],[4,5]].
    /// </summary>
    public static byte[] Lookup() => Model(new GraphProto
    {
        Name = "tiny",
        Node = { Node("Gather", ["table", "in"], "out") },
        Initializer = { Tensor("table", [0, 1, 2, 3, 4, 5], 3, 2) },
        Input = { Value("in", "INT64", -1) },
        Output = { Value("out", "FP32", -1, 2) },
    });

    /// <summary>
    /// A network with the sizes 784-512-512-10, ReLU between its layers and random weights, from <c>in</c> to
    /// <c>out</c>.
    /// </summary>
    public static byte[] Mlp()
    {
        int[] sizes = [784, 512, 512, 10];
        var random = new Random(1);
        var graph = new GraphProto
        {
            Name = "mlp",
            Input = { Value("in", "FP32", -1, 784) },
            Output = { Value("out", "FP32", -1, 10) },
        };
        var last = "in";
        for (var i = 0; i + 1 < sizes.Length; i++)
        {
            var values = new float[sizes[i] * sizes[i + 1]];
            for (var n = 0; n < values.Length; n++) values[n] = (float)((random.NextDouble() - 0.5) / 16);
            graph.Initializer.Add(Tensor($"w{i}", values, sizes[i], sizes[i + 1]));
            var isFinal = i + 2 == sizes.Length;
            graph.Node.Add(Node("MatMul", [last, $"w{i}"], isFinal ? "out" : $"m{i}"));
            if (!isFinal) graph.Node.Add(Node("Relu", [$"m{i}"], last = $"r{i}"));
        }

        return Model(graph);
    }

    /// <summary>Writes a model into a repository.</summary>
    public static void Put(string repository, string name, byte[] model, int version = 1)
    {
        var folder = Directory.CreateDirectory(Path.Combine(repository, name, $"{version}")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), model);
    }

    /// <summary>A node with one output.</summary>
    public static NodeProto Node(string operation, IEnumerable<string> inputs, string output) =>
        new() { OpType = operation, Input = { inputs }, Output = { output } };

    /// <summary>A tensor of 32-bit floats.</summary>
    public static TensorProto Tensor(string name, ReadOnlySpan<float> values, params long[] shape) => new()
    {
        Name = name,
        DataType = ElementTypes["FP32"],
        Dims = { shape },
        // The values must be little-endian, which every supported platform is.
        RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values)),
    };

    /// <summary>An input or an output.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Protocol name of the datatype.</param>
    /// <param name="dimensions">-1: any.</param>
    public static ValueInfoProto Value(string name, string type, params int[] dimensions)
    {
        var shape = new TensorShapeProto();
        for (var i = 0; i < dimensions.Length; i++)
            shape.Dim.Add(dimensions[i] < 0
                ? new TensorShapeProto.Types.Dimension { DimParam = $"d{i}" }
                : new TensorShapeProto.Types.Dimension { DimValue = dimensions[i] });
        var tensor = new TypeProto.Types.Tensor { ElemType = ElementTypes[type], Shape = shape };
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    private static byte[] OneNode(string operation, string[] inputs, string output, string type, int[] dimensions) =>
        Model(new GraphProto
        {
            Name = "tiny",
            Node = { Node(operation, inputs, output) },
            Input = { inputs.Select(i => Value(i, type, dimensions)) },
            Output = { Value(output, type, dimensions) },
        });

    private static byte[] Model(GraphProto graph) => new ModelProto
    {
        IrVersion = 8,
        Graph = graph,
        OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } },
    }.ToByteArray();
}
