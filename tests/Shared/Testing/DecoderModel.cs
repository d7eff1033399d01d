using System.Runtime.InteropServices;
using Google.Protobuf;
using Sluice.Testing.Onnx;
using static Sluice.Testing.TinyModel;

namespace Sluice.Testing;

/// <summary>
/// A decoder of any size over bytes, with rotary positions, as the model builder of ONNX Runtime GenAI writes it: with
/// GroupQueryAttention or PagedAttention, and with the same random weights in each form.
/// </summary>
public sealed record DecoderModel
{
    private const int Bytes = 256, Int32 = 6, Int64 = 7, Float = 1, Float16 = 10;

    private GraphProto graph = new();

    /// <summary>Whether the attention is PagedAttention, which has no kernel for 32 bits.</summary>
    public bool Paged { get; init; }

    /// <summary>Whether the attention and its cache have 16 bits. Always with <see cref="Paged"/>.</summary>
    public bool Half { get; init; }

    /// <summary>Whether a paged model has the input for the bounds of the lengths.</summary>
    public bool Bounds { get; init; }

    /// <summary>Whether a paged model returns only the logits after the last token of each sequence.</summary>
    public bool OnlyLast { get; init; }

    /// <summary>Number of layers.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>Number of heads of the queries. The keys and values have half as many.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Width of a head, a multiple of 16.</summary>
    public int HeadWidth { get; init; } = 16;

    /// <summary>Maximum number of tokens of a sequence.</summary>
    public int Context { get; init; } = 256;

    private int Width => Heads * HeadWidth;

    private int KeyWidth => Width / 2;

    private bool Is16 => Half || Paged;

    /// <summary>Returns the model file.</summary>
    public byte[] ToBytes()
    {
        // A copy of a record has the same fields.
        graph = new GraphProto { Name = "decoder" };
        var random = new Random(21);
        AddWeights(random, "embedding", Bytes, Width, 1);
        graph.Initializer.Add(Tensor("ones", [.. Enumerable.Repeat(1f, Width)], Width));
        AddRotary();
        AddInputs();
        Add(Node("Gather", ["embedding", "input_ids"], "x0"));
        for (var layer = 0; layer < Layers; layer++) AddLayer(random, layer);
        Add(Normalization($"x{Layers}", "last"));
        AddWeights(random, "head", Width, Bytes, 3);
        if (Paged && OnlyLast)
        {
            // The last token of each sequence is before the first one of the next.
            AddNumbers("from", [1]);
            AddNumbers("to", [long.MaxValue]);
            Add(Node("Slice", ["cumulative_sequence_lengths", "from", "to"], "ends"));
            graph.Initializer.Add(new TensorProto
            {
                Name = "one_token", DataType = Int32, RawData = ByteString.CopyFrom(BitConverter.GetBytes(1)),
            });
            Add(Node("Sub", ["ends", "one_token"], "last_index"));
            Add(Node("Gather", ["last", "last_index"], "last_of_each"));
            Add(Node("MatMul", ["last_of_each", "head"], "logits"));
        }
        else Add(Node("MatMul", ["last", "head"], "logits"));
        return new ModelProto
        {
            IrVersion = 8,
            ProducerName = "sluice-tests",
            Graph = graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 },
                new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 },
            },
            MetadataProps =
            {
                Property("sluice.task", "text-generation"), Property("sluice.vocab", "bytes"),
                Property("sluice.eos", "0"),
                Property("sluice.context", Context.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            },
        }.ToByteArray();
    }

    private void AddInputs()
    {
        var type = Is16 ? "FP16" : "FP32";
        int[] tokens = Paged ? [-1] : [-1, -1];
        graph.Input.Add(Value("input_ids", "INT64", tokens));
        if (Paged)
        {
            graph.Input.AddRange([Value("cumulative_sequence_lengths", "INT32", -1),
                Value("past_sequence_lengths", "INT32", -1), Value("block_table", "INT32", -1, -1)]);
            if (Bounds) graph.Input.Add(Value("attention_metadata", "INT32", 3));
        }
        else
        {
            graph.Input.Add(Value("attention_mask", "INT64", -1, -1));
            AddNumbers("one", [1]);
            graph.Initializer.Add(new TensorProto
            {
                Name = "second", DataType = Int64, RawData = ByteString.CopyFrom(BitConverter.GetBytes(1L)),
            });
            var sum = Node("ReduceSum", ["attention_mask", "one"], "lengths");
            sum.Attribute.Add(Integer("keepdims", 0));
            Add(sum);
            Add(Node("Sub", ["lengths", "one"], "less"));
            Add(Cast("less", "seqlens_k", Int32));
            Add(Node("Shape", ["attention_mask"], "mask_shape"));
            Add(Node("Gather", ["mask_shape", "second"], "mask_width"));
            Add(Cast("mask_width", "total_length", Int32));
        }

        int[] cache = Paged ? [-1, -1, Heads / 2, HeadWidth] : [-1, Heads / 2, -1, HeadWidth];
        graph.Output.Add(Value("logits", "FP32", [.. tokens, Bytes]));
        for (var layer = 0; layer < Layers; layer++)
            foreach (var part in new[] { "key", "value" })
            {
                graph.Input.Add(Value($"past_key_values.{layer}.{part}", type, cache));
                graph.Output.Add(Value($"present.{layer}.{part}", type, cache));
            }
    }

    private void AddRotary()
    {
        var (cos, sin) = (new List<float>(), new List<float>());
        for (var position = 0; position < Context; position++)
            for (var i = 0; i < HeadWidth / 2; i++)
            {
                var angle = position * MathF.Pow(10000, -2f * i / HeadWidth);
                cos.Add(MathF.Cos(angle));
                sin.Add(MathF.Sin(angle));
            }

        foreach (var (name, values) in new[] { ("cos", cos), ("sin", sin) })
            graph.Initializer.Add(Is16
                ? new TensorProto
                {
                    Name = name,
                    DataType = Float16,
                    Dims = { Context, HeadWidth / 2 },
                    RawData = ByteString.CopyFrom(
                        MemoryMarshal.AsBytes<System.Half>([.. values.Select(v => (System.Half)v)])),
                }
                : Tensor(name, [.. values], Context, HeadWidth / 2));
    }

    private void AddLayer(Random random, int layer)
    {
        string Name(string part) => $"{part}{layer}";
        Add(Normalization(Name("x"), Name("n")));
        foreach (var (part, width) in new[] { ("q", Width), ("k", KeyWidth), ("v", KeyWidth) })
        {
            AddWeights(random, Name("w" + part), Width, width, 1);
            Add(Node("MatMul", [Name("n"), Name("w" + part)], Name(part)));
            Add(Cast(Name(part), Name(part + "_cast"), Is16 ? Float16 : Float));
        }

        string[] cache = [$"past_key_values.{layer}.key", $"past_key_values.{layer}.value"];
        string[] place = Paged
            ? ["cumulative_sequence_lengths", "past_sequence_lengths", "block_table"]
            : ["seqlens_k", "total_length"];
        var attention = Node(Paged ? "PagedAttention" : "GroupQueryAttention",
            [
                Name("q_cast"), Name("k_cast"), Name("v_cast"), .. cache, .. place, "cos", "sin",
                .. Paged && Bounds ? ["", "", "", "", "", "", "attention_metadata"] : Array.Empty<string>(),
            ],
            Name("attended"));
        attention.Output.AddRange((string[])[$"present.{layer}.key", $"present.{layer}.value"]);
        attention.Domain = "com.microsoft";
        attention.Attribute.AddRange(
            [Integer("num_heads", Heads), Integer("kv_num_heads", Heads / 2), Integer("do_rotary", 1)]);
        Add(attention);
        Add(Cast(Name("attended"), Name("attended_float"), Float));
        AddWeights(random, Name("wo"), Width, Width, 1);
        Add(Node("MatMul", [Name("attended_float"), Name("wo")], Name("o")));
        Add(Node("Add", [Name("x"), Name("o")], Name("y")));
        Add(Normalization(Name("y"), Name("m")));
        AddWeights(random, Name("up"), Width, 4 * Width, 1);
        AddWeights(random, Name("down"), 4 * Width, Width, 1);
        Add(Node("MatMul", [Name("m"), Name("up")], Name("h")));
        Add(Node("Relu", [Name("h")], Name("r")));
        Add(Node("MatMul", [Name("r"), Name("down")], Name("d")));
        Add(Node("Add", [Name("y"), Name("d")], $"x{layer + 1}"));
    }

    private void Add(NodeProto node) => graph.Node.Add(node);

    private void AddWeights(Random random, string name, int rows, int columns, float scale)
    {
        var values = new float[rows * columns];
        var range = scale * MathF.Sqrt(12f / rows);
        for (var i = 0; i < values.Length; i++) values[i] = (random.NextSingle() - 0.5f) * range;
        graph.Initializer.Add(Tensor(name, values, rows, columns));
    }

    private void AddNumbers(string name, long[] values) => graph.Initializer.Add(new TensorProto
    {
        Name = name,
        DataType = Int64,
        Dims = { values.Length },
        RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>(values)),
    });

    private static NodeProto Normalization(string input, string output) =>
        Node("LayerNormalization", [input, "ones"], output);

    private static NodeProto Cast(string input, string output, int type)
    {
        var cast = Node("Cast", [input], output);
        cast.Attribute.Add(Integer("to", type));
        return cast;
    }

    private static AttributeProto Integer(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static StringStringEntryProto Property(string key, string value) => new() { Key = key, Value = value };
}
