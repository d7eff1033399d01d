using Google.Protobuf;
using Sluice.Testing.Onnx;
using static Sluice.Testing.TinyModel;

namespace Sluice.Worker.Tests.Providers;

/// <summary>
/// The smallest decoder over bytes that is served like a large one: an embedding, one layer of GroupQueryAttention with
/// its key/value cache, and a head, with random weights.
/// </summary>
internal static class TinyDecoder
{
    private const int Vocabulary = 256, Width = 16, Head = 8, Int32 = 6, Int64 = 7;

    /// <param name="keepsItsCache">
    /// False: the cache that attention writes is discarded, and each token is read as if it were the first.
    /// </param>
    /// <param name="reads">
    /// The number of tokens that it can read. It also returns other tokens, and fails when it reads them.
    /// </param>
    /// <param name="context">The maximum number of tokens of a text.</param>
    public static byte[] Bytes(bool keepsItsCache = true, int reads = Vocabulary, int context = 64)
    {
        var random = new Random(11);
        var graph = new GraphProto
        {
            Name = "g",
            Node = { Nodes(keepsItsCache) },
            Initializer =
            {
                Weights(random, "embedding", reads, Width), Weights(random, "wq", Width, Width),
                Weights(random, "wk", Width, Head), Weights(random, "wv", Width, Head),
                Weights(random, "head", Width, Vocabulary), One("one", [1]), One("axis", []),
            },
            Input =
            {
                Value("input_ids", "INT64", -1, -1), Value("attention_mask", "INT64", -1, -1),
                Value("past_key_values.0.key", "FP32", -1, 1, -1, Head),
                Value("past_key_values.0.value", "FP32", -1, 1, -1, Head),
            },
            Output =
            {
                Value("logits", "FP32", -1, -1, Vocabulary), Value("present.0.key", "FP32", -1, 1, -1, Head),
                Value("present.0.value", "FP32", -1, 1, -1, Head),
            },
        };
        return new ModelProto
        {
            IrVersion = 8,
            ProducerName = "sluice-tests",
            ProducerVersion = "1",
            Graph = graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 },
                new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 },
            },
            MetadataProps =
            {
                Property("sluice.task", "text-generation"), Property("sluice.vocab", "bytes"),
                Property("sluice.eos", "0"), Property("sluice.context", $"{context}"),
            },
        }.ToByteArray();
    }

    private static List<NodeProto> Nodes(bool keepsItsCache)
    {
        var sum = Node("ReduceSum", ["attention_mask", "one"], "lengths");
        sum.Attribute.Add(Integer("keepdims", 0));
        var attention = Node("GroupQueryAttention",
            ["q", "k", "v", "past_key_values.0.key", "past_key_values.0.value", "seqlens_k", "total_length"],
            "attended");
        attention.Output.AddRange((string[])(keepsItsCache ? ["present.0.key", "present.0.value"] : ["lost.key", "lost.value"]));
        attention.Domain = "com.microsoft";
        attention.Attribute.AddRange([Integer("num_heads", 2), Integer("kv_num_heads", 1)]);
        return
        [
            sum, Node("Sub", ["lengths", "one"], "less"), Cast("less", "seqlens_k"),
            Node("Shape", ["attention_mask"], "mask_shape"), Node("Gather", ["mask_shape", "axis"], "mask_width"),
            Cast("mask_width", "total_length"), Node("Gather", ["embedding", "input_ids"], "x"),
            Node("MatMul", ["x", "wq"], "q"), Node("MatMul", ["x", "wk"], "k"), Node("MatMul", ["x", "wv"], "v"),
            attention,
            .. keepsItsCache ? [] : new[] { "key", "value" }
                .Select(n => Node("Identity", [$"past_key_values.0.{n}"], $"present.0.{n}")),
            Node("MatMul", ["attended", "head"], "logits"),
        ];
    }

    private static TensorProto Weights(Random random, string name, int rows, int columns)
    {
        var values = new float[rows * columns];
        for (var i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
        return Tensor(name, values, rows, columns);
    }

    private static TensorProto One(string name, long[] shape) => new()
    {
        Name = name,
        DataType = Int64,
        Dims = { shape },
        RawData = ByteString.CopyFrom(BitConverter.GetBytes(1L)),
    };

    private static NodeProto Cast(string input, string output)
    {
        var cast = Node("Cast", [input], output);
        cast.Attribute.Add(Integer("to", Int32));
        return cast;
    }

    private static AttributeProto Integer(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static StringStringEntryProto Property(string key, string value) => new() { Key = key, Value = value };
}
