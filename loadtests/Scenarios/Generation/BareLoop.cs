using System.Diagnostics;
using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Testing.Llama;

namespace Sluice.Scenarios.Generation;

/// <summary>
/// The limit of what ONNX Runtime gives on this machine: a decode loop without HTTP, queue, sampling parameters or
/// detokenization. It reads all prompts, one after the other, then decodes all texts together, with a cache in which
/// attention writes in place, and selects the most likely token.
/// </summary>
internal sealed class BareLoop : IDisposable
{
    private readonly LlamaShape shape;
    private readonly SessionOptions options = new();
    private readonly InferenceSession session;
    private readonly string[] inputs, outputs;

    /// <param name="shape">The dimensions of the model.</param>
    /// <param name="file">The ONNX file.</param>
    /// <param name="threads">Number of threads of a run.</param>
    public BareLoop(LlamaShape shape, string file, int threads)
    {
        this.shape = shape;
        options.IntraOpNumThreads = threads;
        session = new InferenceSession(file, options);
        var cache = Enumerable.Range(0, shape.Layers).SelectMany(i => new[] { $"{i}.key", $"{i}.value" }).ToList();
        inputs = ["input_ids", "attention_mask", .. cache.Select(c => $"past_key_values.{c}")];
        outputs = ["logits", .. cache.Select(c => $"present.{c}")];
    }

    /// <summary>Generates texts.</summary>
    /// <param name="prompts">The prompts; all have the same length.</param>
    /// <param name="count">Number of tokens of each text.</param>
    /// <returns>The texts and the time.</returns>
    public (int[][] Texts, TimeSpan Time) Run(int[][] prompts, int count)
    {
        var (rows, read) = (prompts.Length, prompts[0].Length);
        var length = read + count;
        var cells = shape.KvHeads * length * shape.Head;
        var cache = Enumerable.Range(0, 2 * shape.Layers).Select(_ => new float[rows * cells]).ToArray();
        var texts = prompts.Select(_ => new int[count]).ToArray();
        var began = Stopwatch.GetTimestamp();
        using var run = new RunOptions();
        var logits = new float[rows * shape.Vocabulary];
        for (var row = 0; row < rows; row++)
        {
            Step(run, Array.ConvertAll(prompts[row], t => (long)t), 1, read, logits);
            texts[row][0] = TensorPrimitives.IndexOfMax<float>(logits.AsSpan(0, shape.Vocabulary));

            void Step(RunOptions run, long[] ids, int one, int total, float[] to) =>
                Execute(run, ids, one, total, to, cache.Select(c => c.AsMemory(row * cells, cells)), length);
        }

        for (var i = 1; i < count; i++)
        {
            long[] last = [.. texts.Select(t => (long)t[i - 1])];
            Execute(run, last, rows, read + i, logits, cache.Select(c => c.AsMemory()), length);
            for (var row = 0; row < rows; row++)
                texts[row][i] = TensorPrimitives.IndexOfMax<float>(
                    logits.AsSpan(row * shape.Vocabulary, shape.Vocabulary));
        }

        return (texts, Stopwatch.GetElapsedTime(began));
    }

    public void Dispose()
    {
        session.Dispose();
        options.Dispose();
    }

    private void Execute(
        RunOptions run,
        long[] ids,
        int rows,
        int total,
        float[] logits,
        IEnumerable<Memory<float>> cache,
        int length)
    {
        var mask = new long[rows * total];
        Array.Fill(mask, 1);
        var shared = cache.Select(c => OrtValue.CreateTensorValueFromMemory(
            OrtMemoryInfo.DefaultInstance, c, [rows, shape.KvHeads, length, shape.Head])).ToList();
        using var tokens = OrtValue.CreateTensorValueFromMemory(ids, [rows, ids.Length / rows]);
        using var attended = OrtValue.CreateTensorValueFromMemory(mask, [rows, total]);
        using var output = OrtValue.CreateTensorValueFromMemory(
            OrtMemoryInfo.DefaultInstance, logits.AsMemory(0, rows * shape.Vocabulary), [rows, 1, shape.Vocabulary]);
        session.Run(run, inputs, [tokens, attended, .. shared], outputs, [output, .. shared]);
        foreach (var value in shared) value.Dispose();
    }
}
