using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Sluice.Testing.Onnx;
using static Sluice.Testing.TinyModel;

namespace Sluice.Testing.Llama;

/// <summary>
/// Writes a decoder as the model builder of ONNX Runtime GenAI does with <c>prune_lm_head</c>: GroupQueryAttention with
/// rotary embedding inside, weights of 32 bits in an external file, the logits of the last token, and
/// <c>genai_config.json</c>.
/// </summary>
public sealed class LlamaOnnx : IDisposable
{
    private const string DataFile = "model.onnx.data";

    private readonly LlamaWeights weights;
    private readonly LlamaShape shape;
    private readonly FileStream data;
    private readonly GraphProto graph = new() { Name = "llama" };

    private LlamaOnnx(LlamaWeights weights, string folder)
    {
        this.weights = weights;
        shape = weights.Shape;
        data = File.Create(Path.Combine(folder, DataFile));
    }

    /// <summary>Writes all files of the model into a folder.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="folder">The folder, which exists.</param>
    /// <param name="chatTemplate">The chat template; null: the model has none.</param>
    public static void Write(LlamaWeights weights, string folder, string? chatTemplate = null)
    {
        var tokens = new LlamaTokens(weights.Shape.Vocabulary);
        tokens.Write(folder, chatTemplate);
        WriteConfig(weights.Shape, tokens, folder);
        using var writer = new LlamaOnnx(weights, folder);
        writer.BuildGraph();
        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), new ModelProto
        {
            IrVersion = 8,
            ProducerName = "sluice-loadtests",
            Graph = writer.graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 },
                new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 },
            },
        }.ToByteArray());
    }

    public void Dispose() => data.Dispose();

    private void BuildGraph()
    {
        AddInputsAndOutputs();
        AddLengths();
        AddRopeTables();
        var x = Add("Gather", "embedded", [Weight("model.embed_tokens", transposed: false), "input_ids"]);
        for (var i = 0; i < shape.Layers; i++) x = AddLayer(x, i);
        x = Norm(x, "model.norm");
        AddConstant("last", [-1L], 1);
        AddConstant("end", [long.MaxValue], 1);
        AddConstant("token_axis", [1L], 1);
        var last = Add("Slice", "last_hidden", [x, "last", "end", "token_axis"]);
        Linear(last, "lm_head", "logits");
    }

    private void AddInputsAndOutputs()
    {
        graph.Input.Add(Value("input_ids", "INT64", -1, -1));
        graph.Input.Add(Value("attention_mask", "INT64", -1, -1));
        graph.Output.Add(Value("logits", "FP32", -1, 1, shape.Vocabulary));
        for (var i = 0; i < shape.Layers; i++)
            foreach (var part in new[] { "key", "value" })
            {
                graph.Input.Add(Value($"past_key_values.{i}.{part}", "FP32", -1, shape.KvHeads, -1, shape.Head));
                graph.Output.Add(Value($"present.{i}.{part}", "FP32", -1, shape.KvHeads, -1, shape.Head));
            }
    }

    /// <summary>
    /// Adds the inputs of attention as the model builder does: lengths of the rows minus one, and width of the mask.
    /// </summary>
    private void AddLengths()
    {
        AddConstant("one", [1L], 1);
        AddConstant("axis", [1L]);
        Add("ReduceSum", "lengths", ["attention_mask", "one"], Integer("keepdims", 0));
        Add("Sub", "lengths_less_one", ["lengths", "one"]);
        Add("Cast", "seqlens_k", ["lengths_less_one"], Integer("to", ElementTypes["INT32"]));
        Add("Shape", "mask_shape", ["attention_mask"]);
        Add("Gather", "mask_width", ["mask_shape", "axis"]);
        Add("Cast", "total_length", ["mask_width"], Integer("to", ElementTypes["INT32"]));
    }

    private void AddRopeTables()
    {
        var half = shape.Head / 2;
        float[] cos = new float[shape.Context * half], sin = new float[shape.Context * half];
        for (var position = 0; position < shape.Context; position++)
            for (var i = 0; i < half; i++)
            {
                var angle = position * MathF.Pow(LlamaShape.RopeBase, -2f * i / shape.Head);
                (sin[(position * half) + i], cos[(position * half) + i]) = MathF.SinCos(angle);
            }

        graph.Initializer.Add(Tensor("cos_cache", cos, shape.Context, half));
        graph.Initializer.Add(Tensor("sin_cache", sin, shape.Context, half));
    }

    private string AddLayer(string x, int layer)
    {
        var name = $"model.layers.{layer}";
        var h = Norm(x, $"{name}.input_layernorm");
        var q = Linear(h, $"{name}.self_attn.q_proj");
        var k = Linear(h, $"{name}.self_attn.k_proj");
        var v = Linear(h, $"{name}.self_attn.v_proj");
        var attention = Node("GroupQueryAttention",
            [q, k, v, $"past_key_values.{layer}.key", $"past_key_values.{layer}.value", "seqlens_k", "total_length",
                "cos_cache", "sin_cache"], $"{name}.attended");
        attention.Output.AddRange([$"present.{layer}.key", $"present.{layer}.value"]);
        attention.Domain = "com.microsoft";
        attention.Attribute.AddRange([Integer("num_heads", shape.Heads), Integer("kv_num_heads", shape.KvHeads),
            Integer("do_rotary", 1), Integer("rotary_interleaved", 0)]);
        graph.Node.Add(attention);
        x = Add("Add", $"{name}.x1", [x, Linear($"{name}.attended", $"{name}.self_attn.o_proj")]);
        h = Norm(x, $"{name}.post_attention_layernorm");
        var gate = Linear(h, $"{name}.mlp.gate_proj");
        var silu = Add("Mul", $"{name}.silu", [gate, Add("Sigmoid", $"{name}.sigmoid", [gate])]);
        var gated = Add("Mul", $"{name}.gated", [silu, Linear(h, $"{name}.mlp.up_proj")]);
        return Add("Add", $"{name}.x2", [x, Linear(gated, $"{name}.mlp.down_proj")]);
    }

    private string Norm(string x, string name)
    {
        var values = weights.Get(name);
        graph.Initializer.Add(Tensor(name, values, values.Length));
        return Add("SimplifiedLayerNormalization", $"{name}.out", [x, name], Float("epsilon", LlamaShape.Epsilon),
            Integer("axis", -1), Integer("stash_type", 1));
    }

    private string Linear(string x, string name, string? output = null) =>
        Add("MatMul", output ?? $"{name}.out", [x, Weight(name, transposed: true)]);

    /// <summary>Writes a matrix into the external file.</summary>
    private string Weight(string name, bool transposed)
    {
        var (_, rows, columns) = shape.Tensors.First(t => t.Name == name);
        var values = weights.Get(name);
        if (transposed) (values, rows, columns) = (Transpose(values, rows, columns), columns, rows);
        // Aligned, so that the file can be mapped into memory.
        data.Position = (data.Position + 4095) / 4096 * 4096;
        var offset = data.Position;
        data.Write(MemoryMarshal.AsBytes<float>(values));
        graph.Initializer.Add(new TensorProto
        {
            Name = name,
            DataType = ElementTypes["FP32"],
            Dims = { rows, columns },
            DataLocation = 1,
            ExternalData =
            {
                new StringStringEntryProto { Key = "location", Value = DataFile },
                new StringStringEntryProto { Key = "offset", Value = Text(offset) },
                new StringStringEntryProto { Key = "length", Value = Text(4L * values.Length) },
            },
        });
        return name;
    }

    private string Add(string operation, string output, string[] inputs, params AttributeProto[] attributes)
    {
        var node = Node(operation, inputs, output);
        node.Attribute.AddRange(attributes);
        graph.Node.Add(node);
        return output;
    }

    private void AddConstant(string name, long[] values, params long[] dims) => graph.Initializer.Add(new TensorProto
    {
        Name = name,
        DataType = ElementTypes["INT64"],
        Dims = { dims },
        RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>(values)),
    });

    private static float[] Transpose(float[] values, int rows, int columns)
    {
        var result = new float[values.Length];
        for (var r = 0; r < rows; r++)
            for (var c = 0; c < columns; c++)
                result[(c * rows) + r] = values[(r * columns) + c];
        return result;
    }

    private static AttributeProto Integer(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static AttributeProto Float(string name, float value) =>
        new() { Name = name, F = value, Type = AttributeProto.Types.AttributeType.Float };

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static void WriteConfig(LlamaShape shape, LlamaTokens tokens, string folder)
    {
        var decoder = new JsonObject
        {
            ["filename"] = "model.onnx",
            ["session_options"] = new JsonObject { ["provider_options"] = new JsonArray() },
            ["head_size"] = shape.Head,
            ["hidden_size"] = shape.Width,
            ["num_attention_heads"] = shape.Heads,
            ["num_key_value_heads"] = shape.KvHeads,
            ["num_hidden_layers"] = shape.Layers,
            ["inputs"] = new JsonObject
            {
                ["input_ids"] = "input_ids",
                ["attention_mask"] = "attention_mask",
                ["past_key_names"] = "past_key_values.%d.key",
                ["past_value_names"] = "past_key_values.%d.value",
            },
            ["outputs"] = new JsonObject
            {
                ["logits"] = "logits",
                ["present_key_names"] = "present.%d.key",
                ["present_value_names"] = "present.%d.value",
            },
        };
        var config = new JsonObject
        {
            ["model"] = new JsonObject
            {
                ["type"] = "llama",
                ["bos_token_id"] = tokens.End,
                ["eos_token_id"] = tokens.End,
                ["pad_token_id"] = tokens.End,
                ["context_length"] = shape.Context,
                ["vocab_size"] = shape.Vocabulary,
                ["decoder"] = decoder,
            },
            ["search"] = new JsonObject
            {
                ["do_sample"] = false,
                ["max_length"] = shape.Context,
                ["past_present_share_buffer"] = true,
            },
        };
        File.WriteAllText(Path.Combine(folder, "genai_config.json"), config.ToJsonString());
    }
}
