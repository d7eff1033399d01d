using System.Runtime.InteropServices;
using static Sluice.Worker.Tests.Inspection.OnnxWriter;

namespace Sluice.Worker.Tests.Providers;

/// <summary>
/// The smallest decoder over bytes that is served as a large one is: an embedding, one layer of GroupQueryAttention with its key/value cache, and a head, with
/// made-up weights.
/// </summary>
internal static class TinyDecoder
{
    private const int Vocabulary = 256, Width = 16, Head = 8, Int32 = 6;

    /// <param name="keepsItsCache">False: what attention writes goes nowhere, and each token is read as if it were the first.</param>
    /// <param name="reads">Tokens that it can read; it makes others too, and fails on them.</param>
    public static byte[] Bytes(bool keepsItsCache = true, int reads = Vocabulary)
    {
        var random = new Random(11);
        byte[] Weights(string name, params long[] shape)
        {
            var values = new float[shape.Aggregate(1L, (a, d) => a * d)];
            for (var i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
            return Field(5, Tensor(name, FP32, shape, MemoryMarshal.AsBytes<float>(values).ToArray()));
        }

        var (key, value) = keepsItsCache ? ("present.0.key", "present.0.value") : ("lost.key", "lost.value");
        var attention = Join([.. new[] { "q", "k", "v", "past_key_values.0.key", "past_key_values.0.value", "seqlens_k", "total_length" }.Select(i => Text(1, i)),
            .. new[] { "attended", key, value }.Select(o => Text(2, o)), Text(4, "GroupQueryAttention"), Text(7, "com.microsoft"),
            Field(5, Integer("num_heads", 2)), Field(5, Integer("kv_num_heads", 1))]);
        byte[][] nodes =
        [
            Run("ReduceSum", "lengths", ["attention_mask", "one"], Integer("keepdims", 0)), Run("Sub", "less", ["lengths", "one"]),
            Run("Cast", "seqlens_k", ["less"], Integer("to", Int32)), Run("Shape", "mask_shape", ["attention_mask"]),
            Run("Gather", "mask_width", ["mask_shape", "axis"]), Run("Cast", "total_length", ["mask_width"], Integer("to", Int32)),
            Run("Gather", "x", ["embedding", "input_ids"]), Run("MatMul", "q", ["x", "wq"]), Run("MatMul", "k", ["x", "wk"]), Run("MatMul", "v", ["x", "wv"]), attention,
            .. keepsItsCache ? [] : new[] { "key", "value" }.Select(n => Run("Identity", $"present.0.{n}", [$"past_key_values.0.{n}"])),
            Run("MatMul", "logits", ["attended", "head"]),
        ];
        var graph = Graph(
        [
            .. nodes.Select(n => Field(1, n)), Weights("embedding", reads, Width), Weights("wq", Width, Width), Weights("wk", Width, Head),
            Weights("wv", Width, Head), Weights("head", Width, Vocabulary), Field(5, Tensor("one", INT64, [1], BitConverter.GetBytes(1L))),
            Field(5, Tensor("axis", INT64, [], BitConverter.GetBytes(1L))),
            Field(11, Value("input_ids", INT64, -1, -1)), Field(11, Value("attention_mask", INT64, -1, -1)),
            Field(11, Value("past_key_values.0.key", FP32, -1, 1, -1, Head)), Field(11, Value("past_key_values.0.value", FP32, -1, 1, -1, Head)),
            Field(12, Value("logits", FP32, -1, -1, Vocabulary)), Field(12, Value("present.0.key", FP32, -1, 1, -1, Head)),
            Field(12, Value("present.0.value", FP32, -1, 1, -1, Head)),
        ]);
        return Model(graph, [Field(8, Opset("com.microsoft", 1)),
            .. new[] { ("sluice.task", "text-generation"), ("sluice.vocab", "bytes"), ("sluice.eos", "0"), ("sluice.context", "64") }
                .Select(p => Field(14, Join(Text(1, p.Item1), Text(2, p.Item2))))]);
    }

    private static byte[] Run(string operation, string output, string[] inputs, params byte[][] attributes) =>
        Join([.. inputs.Select(i => Text(1, i)), Text(2, output), Text(4, operation), .. attributes.Select(a => Field(5, a))]);

    private static byte[] Integer(string name, long value) => Join(Text(1, name), Number(3, value), Number(20, 2));
}
