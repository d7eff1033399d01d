using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// The limit of text generation: a decoder whose sequences have equal lengths, in one run for all of them, without HTTP,
/// scheduling and sampling. The cache is in the memory of the device.
/// </summary>
internal sealed class BareDecoder : IDisposable
{
    private const int Block = 32;

    private readonly DecoderModel model;
    private readonly InferenceSession session;
    private readonly OrtAllocator? device;

    public BareDecoder(string path, DecoderModel model, string provider)
    {
        this.model = model;
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        InProcessLimit.Append(options, provider);
        session = new InferenceSession(path, options);
        if (provider == "cpu") return;
        using var info = new OrtMemoryInfo(
            provider == "webgpu" ? "WebGPU_Buffer" : "Cuda", OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);
        device = new OrtAllocator(session, info);
    }

    /// <summary>Reads prompts and generates tokens, and returns the tokens that were generated in a second.</summary>
    public double TokensPerSecond(int sequences, int prompt, int tokens)
    {
        // Prompts of which the attention has no past, and of which the whole batch is read.
        var length = (prompt + tokens + Block - 1) / Block * Block;
        var buffers = new List<OrtValue>();
        var type = model.Paged || model.Half ? TensorElementType.Float16 : TensorElementType.Float;
        long[] shape = model.Paged
            ? [sequences * length / Block, Block, model.Heads / 2, model.HeadWidth]
            : [sequences, model.Heads / 2, length, model.HeadWidth];
        for (var i = 0; i < 2 * model.Layers; i++)
            buffers.Add(OrtValue.CreateAllocatedTensorValue(device ?? OrtAllocator.DefaultInstance, type, shape));
        try
        {
            var began = Stopwatch.GetTimestamp();
            Run(buffers, sequences, 0, prompt, length);
            for (var i = 1; i < tokens; i++) Run(buffers, sequences, prompt + i - 1, 1, length);
            return sequences * tokens / Stopwatch.GetElapsedTime(began).TotalSeconds;
        }
        finally
        {
            foreach (var buffer in buffers) buffer.Dispose();
        }
    }

    public void Dispose()
    {
        device?.Dispose();
        session.Dispose();
    }

    private void Run(List<OrtValue> buffers, int sequences, int past, int tokens, int length)
    {
        var ids = Enumerable.Range(0, sequences * tokens).Select(i => (long)(97 + (i % 25))).ToArray();
        var inputs = new List<(string Name, OrtValue Value)>();
        if (model.Paged)
        {
            var blocks = length / Block;
            inputs.Add(("input_ids", OrtValue.CreateTensorValueFromMemory(ids, [ids.Length])));
            Add("cumulative_sequence_lengths", [.. Enumerable.Range(0, sequences + 1).Select(i => i * tokens)], sequences + 1);
            Add("past_sequence_lengths", [.. Enumerable.Repeat(past, sequences)], sequences);
            Add("block_table", [.. Enumerable.Range(0, sequences * blocks)], sequences, blocks);
        }
        else
        {
            // The first run has the exact width, the others the width of the cache.
            var width = past == 0 ? tokens : length;
            var mask = new long[sequences * width];
            for (var i = 0; i < mask.Length; i++) mask[i] = i % width < past + tokens ? 1 : 0;
            inputs.Add(("input_ids", OrtValue.CreateTensorValueFromMemory(ids, [sequences, tokens])));
            inputs.Add(("attention_mask", OrtValue.CreateTensorValueFromMemory(mask, [sequences, width])));
        }

        using var options = new RunOptions();
        using var binding = session.CreateIoBinding();
        foreach (var (name, value) in inputs) binding.BindInput(name, value);
        binding.BindOutputToDevice("logits", OrtMemoryInfo.DefaultInstance);
        for (var i = 0; i < buffers.Count; i++)
        {
            var name = $"{i / 2}.{(i % 2 == 0 ? "key" : "value")}";
            binding.BindInput("past_key_values." + name, buffers[i]);
            binding.BindOutput("present." + name, buffers[i]);
        }

        session.RunWithBinding(options, binding);
        foreach (var (_, value) in inputs) value.Dispose();

        void Add(string name, int[] values, params long[] of) =>
            inputs.Add((name, OrtValue.CreateTensorValueFromMemory(values, of)));
    }
}
