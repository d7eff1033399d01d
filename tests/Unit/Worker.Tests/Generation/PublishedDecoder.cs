using System.Runtime.InteropServices;
using static Sluice.Worker.Tests.Inspection.OnnxWriter;

namespace Sluice.Worker.Tests.Generation;

/// <summary>
/// A small decoder in the forms in which models are published, with the same made-up weights in each: one layer with
/// two heads, position embeddings, and GroupQueryAttention or standard attention.
/// </summary>
internal sealed record PublishedDecoder
{
    private const int Width = 16, Head = 8, Int32 = 6, Float = 1, Bool = 9;

    private readonly List<byte[]> parts = [];

    /// <summary>Number of tokens. With 256, they are bytes.</summary>
    public int Vocabulary { get; init; } = 256;

    /// <summary>Number of positions.</summary>
    public int Context { get; init; } = 64;

    /// <summary>Whether the attention is MatMul and Softmax with a Concat, and not GroupQueryAttention.</summary>
    public bool Standard { get; init; }

    /// <summary>Whether the keys and values have 16 bits.</summary>
    public bool Half { get; init; }

    /// <summary>Whether the keys and values have 8 bits, with one scale for all of them.</summary>
    public bool Quantized { get; init; }

    /// <summary>Whether only the logits of the last token are returned, as the input <c>num_logits_to_keep</c> says.</summary>
    public bool LogitsToKeep { get; init; }

    /// <summary>Name of the input for positions.</summary>
    public string Positions { get; init; } = "position_ids";

    /// <summary>Name of the keys of the past.</summary>
    public string PastKey { get; init; } = "past_key_values.0.key";

    /// <summary>
    /// Whether an input says whether there is a past, as in merged decoders of Optimum. If it is wrong, the logits are
    /// too. With <see cref="Standard"/>.
    /// </summary>
    public bool CacheBranch { get; init; }

    /// <summary>Whether a token has three positions, as in models for images and text.</summary>
    public bool ThreePositions { get; init; }

    /// <summary>Whether another model converts the tokens to vectors: see <see cref="EmbeddingBytes"/>.</summary>
    public bool Embedded { get; init; }

    /// <summary>An input that no decoder has, or null.</summary>
    public string? Extra { get; init; }

    public byte[] Bytes()
    {
        parts.Clear();
        var random = new Random(12);
        foreach (var (name, shape) in new (string, long[])[]
            {
                ("embedding", [Vocabulary, Width]), ("places", [Context, Width]), ("wq", [Width, Width]),
                ("wk", [Width, Head]), ("wv", [Width, Head]), ("head", [Width, Vocabulary]),
            })
            AddWeights(random, name, shape);
        AddConstants();
        if (!Embedded) Add("Gather", "inputs_embeds", "embedding", "input_ids");
        if (ThreePositions)
        {
            AddNode("ReduceSum", "position_sum", [Positions, "axis0"], Integer("keepdims", 0));
            Add("Div", "position", "position_sum", "fourth");
        }

        Add("Gather", "place", "places", ThreePositions ? "position" : Positions);
        Add("Add", "x", "inputs_embeds", "place");
        foreach (var name in new[] { "q", "k", "v" }) Add("MatMul", name + "_float", "x", "w" + name);
        foreach (var name in new[] { "q", "k", "v" })
            AddNode("Cast", name, [name + "_float"], Integer("to", Half ? FP16 : FP32));
        if (Standard) AddStandardAttention();
        else AddGroupQueryAttention();
        AddNode("Cast", "attended_float", ["attended"], Integer("to", Float));
        Add("Add", CacheBranch ? "y_all" : "y", "attended_float", "x");
        if (CacheBranch) AddBranchCheck();
        if (LogitsToKeep)
        {
            Add("Neg", "from", "num_logits_to_keep");
            Add("Slice", "kept", "y", "from", "end", "one");
            Add("MatMul", "logits", "kept", "head");
        }
        else Add("MatMul", "logits", "y", "head");

        AddInputs();
        return Model(Graph([.. parts]), [Field(8, Opset("com.microsoft", 1)),
            .. Metadata.Select(p => Field(14, Join(Text(1, p.Name), Text(2, p.Value))))]);
    }

    /// <summary>The model that converts tokens to the vectors of a decoder with <see cref="Embedded"/>.</summary>
    public byte[] EmbeddingBytes()
    {
        parts.Clear();
        AddWeights(new Random(12), "embedding", [Vocabulary, Width]);
        Add("Gather", "inputs_embeds", "embedding", "input_ids");
        parts.Add(Field(11, Value("input_ids", INT64, -1, -1)));
        parts.Add(Field(12, Value("inputs_embeds", FP32, -1, -1, Width)));
        return Model(Graph([.. parts]));
    }

    /// <summary>Adds the difference of the input and of whether there is a past.</summary>
    private void AddBranchCheck()
    {
        Add("Shape", "past_shape", PastKey);
        Add("Gather", "past_length", "past_shape", "third");
        Add("Min", "past_any", "past_length", "second");
        AddNode("Cast", "branch_number", ["use_cache_branch"], Integer("to", INT64));
        Add("Sub", "branch_error", "branch_number", "past_any");
        AddNode("Cast", "branch_shift", ["branch_error"], Integer("to", Float));
        Add("Add", "y", "y_all", "branch_shift");
    }

    private (string Name, string Value)[] Metadata => Vocabulary == 256
        ? [("sluice.task", "text-generation"), ("sluice.vocab", "bytes"), ("sluice.eos", "0")]
        : [];

    private void AddInputs()
    {
        var cache = Quantized ? INT8 : Half ? FP16 : FP32;
        parts.Add(Field(11, Embedded
            ? Value("inputs_embeds", FP32, -1, -1, Width)
            : Value("input_ids", INT64, -1, -1)));
        parts.Add(Field(11, Value("attention_mask", INT64, -1, -1)));
        parts.Add(Field(11, ThreePositions ? Value(Positions, INT64, 3, -1, -1) : Value(Positions, INT64, -1, -1)));
        if (CacheBranch) parts.Add(Field(11, Value("use_cache_branch", Bool, 1)));
        if (LogitsToKeep) parts.Add(Field(11, Value("num_logits_to_keep", INT64, 1)));
        if (Extra is not null) parts.Add(Field(11, Value(Extra, INT64, 1)));
        foreach (var name in new[] { PastKey, "past_key_values.0.value" })
            parts.Add(Field(11, Value(name, cache, -1, 1, -1, Head)));
        parts.Add(Field(12, Value("logits", FP32, -1, -1, Vocabulary)));
        foreach (var name in new[] { "present.0.key", "present.0.value" })
            parts.Add(Field(12, Value(name, cache, -1, 1, -1, Head)));
    }

    private void AddConstants()
    {
        foreach (var (name, values) in new (string, long[])[]
            {
                ("one", [1]), ("end", [long.MaxValue]), ("heads", [0, 0, 2, Head]),
                ("joined", [0, 0, Width]), ("axes02", [1, 2]), ("axis0", [0]),
            })
            parts.Add(Field(5, Tensor(name, INT64, [values.Length], MemoryMarshal.AsBytes<long>(values).ToArray())));
        foreach (var (name, value) in new[] { ("first", 0L), ("second", 1L), ("third", 2L), ("fourth", 3L) })
            parts.Add(Field(5, Tensor(name, INT64, [], BitConverter.GetBytes(value))));
        parts.Add(Field(5, Tensor("cache_scale", FP32, [1], BitConverter.GetBytes(1 / 100f))));
        foreach (var (name, value) in new[] { ("scale", 1 / MathF.Sqrt(Head)), ("nothing", 0f), ("never", -1e9f) })
            parts.Add(Field(5, Tensor(name, FP32, [], BitConverter.GetBytes(value))));
    }

    private void AddGroupQueryAttention()
    {
        AddNode("ReduceSum", "lengths", ["attention_mask", "one"], Integer("keepdims", 0));
        Add("Sub", "less", "lengths", "one");
        AddNode("Cast", "seqlens_k", ["less"], Integer("to", Int32));
        Add("Shape", "mask_shape", "attention_mask");
        Add("Gather", "mask_width", "mask_shape", "second");
        AddNode("Cast", "total_length", ["mask_width"], Integer("to", Int32));
        string[] inputs = ["q", "k", "v", PastKey, "past_key_values.0.value", "seqlens_k", "total_length"];
        if (Quantized) inputs = [.. inputs, "", "", "", "", "", "cache_scale", "cache_scale"];
        string[] outputs = ["attended", "present.0.key", "present.0.value"];
        parts.Add(Field(1, Join([.. inputs.Select(i => Text(1, i)), .. outputs.Select(o => Text(2, o)),
            Text(4, "GroupQueryAttention"), Text(7, "com.microsoft"),
            Field(5, Integer("num_heads", 2)), Field(5, Integer("kv_num_heads", 1)),
            .. Quantized
                ? new[] { String("k_quant_type"), String("v_quant_type"), Integer("kv_cache_bit_width", 8) }
                    .Select(a => Field(5, a))
                : []])));
    }

    private void AddStandardAttention()
    {
        Add("Reshape", "q_heads", "q", "heads");
        AddNode("Transpose", "queries", ["q_heads"], Integers("perm", 0, 2, 1, 3));
        foreach (var (name, past) in new[] { ("k", PastKey), ("v", "past_key_values.0.value") })
        {
            Add("Unsqueeze", name + "_new", name, "one");
            AddNode("Concat", name == "k" ? "present.0.key" : "present.0.value", [past, name + "_new"],
                Integer("axis", 2));
        }

        AddNode("Transpose", "keys", ["present.0.key"], Integers("perm", 0, 1, 3, 2));
        AddNode("MatMul", "products", ["queries", "keys"]);
        AddNode("Cast", "products_float", ["products"], Integer("to", Float));
        Add("Mul", "scores", "products_float", "scale");
        // Causal: a query attends to keys up to its own index.
        Add("Shape", "scores_shape", "scores");
        Add("Gather", "new_count", "scores_shape", "third");
        Add("Gather", "all_count", "scores_shape", "fourth");
        Add("Sub", "old_count", "all_count", "new_count");
        Add("Range", "key_index", "first", "all_count", "second");
        Add("Range", "query_index", "old_count", "all_count", "second");
        Add("Unsqueeze", "query_column", "query_index", "one");
        Add("GreaterOrEqual", "causal", "query_column", "key_index");
        AddNode("Cast", "real", ["attention_mask"], Integer("to", Bool));
        Add("Unsqueeze", "real_all", "real", "axes02");
        Add("And", "visible", "causal", "real_all");
        Add("Where", "bias", "visible", "nothing", "never");
        Add("Add", "masked", "scores", "bias");
        AddNode("Softmax", "weights", ["masked"], Integer("axis", 3));
        AddNode("Cast", "weights_cast", ["weights"], Integer("to", Half ? FP16 : FP32));
        Add("MatMul", "mixed", "weights_cast", "present.0.value");
        AddNode("Transpose", "mixed_rows", ["mixed"], Integers("perm", 0, 2, 1, 3));
        Add("Reshape", "attended", "mixed_rows", "joined");
    }

    private void AddWeights(Random random, string name, long[] shape)
    {
        var values = new float[shape.Aggregate(1L, (a, d) => a * d)];
        for (var i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
        parts.Add(Field(5, Tensor(name, FP32, shape, MemoryMarshal.AsBytes<float>(values).ToArray())));
    }

    private void Add(string operation, string output, params string[] inputs) => AddNode(operation, output, inputs);

    private void AddNode(string operation, string output, string[] inputs, params byte[][] attributes) =>
        parts.Add(Field(1, Join([.. inputs.Select(i => Text(1, i)), Text(2, output), Text(4, operation),
            .. attributes.Select(a => Field(5, a))])));

    private static byte[] Integer(string name, long value) => Join(Text(1, name), Number(3, value), Number(20, 2));

    private static byte[] String(string name) => Join(Text(1, name), Text(4, "PER_TENSOR"), Number(20, 3));

    private static byte[] Integers(string name, params long[] values) =>
        Join([Text(1, name), .. values.Select(v => Number(8, v)), Number(20, 7)]);
}
