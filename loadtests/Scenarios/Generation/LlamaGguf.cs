using System.Runtime.InteropServices;
using System.Text;
using Sluice.Testing.Llama;

namespace Sluice.Scenarios.Generation;

/// <summary>
/// Writes a decoder in llama.cpp's format, version 3 (docs/gguf.md of github.com/ggml-org/ggml), with weights of 32
/// bits. llama.cpp rotates neighbouring pairs of a head, so the rows of the query and key weights are reordered, as its
/// converter for Hugging Face's files does.
/// </summary>
internal static class LlamaGguf
{
    private const int Alignment = 32;
    private const uint UInt32Type = 4, Int32Type = 5, FloatType = 6, BoolType = 7, StringType = 8, ArrayType = 9;

    public static void Write(LlamaWeights weights, string file)
    {
        var shape = weights.Shape;
        using var stream = File.Create(file);
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        var tensors = shape.Tensors.Select(t => (t.Name, Target: TargetOf(t.Name), t.Rows, t.Columns)).ToList();
        var properties = Properties(shape);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)properties.Count);
        foreach (var (key, value) in properties)
        {
            Text(writer, key);
            Property(writer, value);
        }

        var offset = 0L;
        foreach (var (_, target, rows, columns) in tensors)
        {
            Text(writer, target);
            writer.Write(rows == 1 ? 1u : 2u);
            writer.Write((ulong)columns);
            if (rows > 1) writer.Write((ulong)rows);
            // 0: 32-bit numbers.
            writer.Write(0u);
            writer.Write((ulong)offset);
            offset += Aligned(4L * rows * columns);
        }

        foreach (var (name, _, _, _) in tensors)
        {
            writer.Flush();
            stream.Position = Aligned(stream.Position);
            stream.Write(MemoryMarshal.AsBytes<float>(ValuesOf(weights, name)));
        }

        stream.SetLength(Aligned(stream.Position));
    }

    private static float[] ValuesOf(LlamaWeights weights, string name)
    {
        var values = weights.Get(name);
        var isRotated = name.EndsWith("q_proj", StringComparison.Ordinal)
            || name.EndsWith("k_proj", StringComparison.Ordinal);
        if (!isRotated) return values;
        var (head, width) = (weights.Shape.Head, weights.Shape.Width);
        var reordered = new float[values.Length];
        for (var row = 0; row < values.Length / width; row++)
        {
            var (first, inHead) = (row / head * head, row % head);
            // Row i of the first half and row i of the second half become neighbours.
            var to = first + (2 * (inHead % (head / 2))) + (inHead / (head / 2));
            values.AsSpan(row * width, width).CopyTo(reordered.AsSpan(to * width, width));
        }

        return reordered;
    }

    private static string TargetOf(string name) => name switch
    {
        "model.embed_tokens" => "token_embd.weight",
        "model.norm" => "output_norm.weight",
        "lm_head" => "output.weight",
        _ => "blk." + name["model.layers.".Length..name.IndexOf('.', "model.layers.".Length)] + "."
            + name[(name.IndexOf('.', "model.layers.".Length) + 1)..] switch
            {
                "input_layernorm" => "attn_norm",
                "self_attn.q_proj" => "attn_q",
                "self_attn.k_proj" => "attn_k",
                "self_attn.v_proj" => "attn_v",
                "self_attn.o_proj" => "attn_output",
                "post_attention_layernorm" => "ffn_norm",
                "mlp.gate_proj" => "ffn_gate",
                "mlp.up_proj" => "ffn_up",
                "mlp.down_proj" => "ffn_down",
                var other => throw new ArgumentException($"the tensor is '{other}'; expected one of a layer"),
            } + ".weight",
    };

    private static List<(string Key, object Value)> Properties(LlamaShape shape)
    {
        var tokens = new LlamaTokens(shape.Vocabulary);
        return
        [
            ("general.architecture", "llama"),
            ("general.name", "random"),
            ("llama.context_length", (uint)shape.Context),
            ("llama.embedding_length", (uint)shape.Width),
            ("llama.block_count", (uint)shape.Layers),
            ("llama.feed_forward_length", (uint)shape.Hidden),
            ("llama.attention.head_count", (uint)shape.Heads),
            ("llama.attention.head_count_kv", (uint)shape.KvHeads),
            ("llama.attention.layer_norm_rms_epsilon", LlamaShape.Epsilon),
            ("llama.rope.freq_base", LlamaShape.RopeBase),
            ("llama.rope.dimension_count", (uint)shape.Head),
            ("llama.vocab_size", (uint)shape.Vocabulary),
            ("tokenizer.ggml.model", "gpt2"),
            ("tokenizer.ggml.pre", "gpt-2"),
            ("tokenizer.ggml.tokens", tokens.Texts.ToArray()),
            // 1: normal, 3: control.
            ("tokenizer.ggml.token_type", tokens.Texts.Select((_, i) => i == tokens.End ? 3 : 1).ToArray()),
            ("tokenizer.ggml.merges", tokens.Merges.ToArray()),
            ("tokenizer.ggml.bos_token_id", (uint)tokens.End),
            ("tokenizer.ggml.eos_token_id", (uint)tokens.End),
            ("tokenizer.ggml.add_bos_token", false),
        ];
    }

    private static void Property(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case uint number:
                writer.Write(UInt32Type);
                writer.Write(number);
                break;
            case float number:
                writer.Write(FloatType);
                writer.Write(number);
                break;
            case bool flag:
                writer.Write(BoolType);
                writer.Write(flag);
                break;
            case string text:
                writer.Write(StringType);
                Text(writer, text);
                break;
            case string[] texts:
                writer.Write(ArrayType);
                writer.Write(StringType);
                writer.Write((ulong)texts.Length);
                foreach (var text in texts) Text(writer, text);
                break;
            case int[] numbers:
                writer.Write(ArrayType);
                writer.Write(Int32Type);
                writer.Write((ulong)numbers.Length);
                foreach (var number in numbers) writer.Write(number);
                break;
            default:
                throw new ArgumentException($"the value is {value.GetType()}; expected a type of GGUF", nameof(value));
        }
    }

    private static void Text(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static long Aligned(long offset) => (offset + Alignment - 1) / Alignment * Alignment;
}
