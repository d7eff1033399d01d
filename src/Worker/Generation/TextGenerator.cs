using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Generates text with a decoder model. The model's inputs and outputs must have the names that ONNX
/// Runtime GenAI's model builder uses. The prompt is one run, and each token after it is one more. Cancellation is
/// checked between two runs.
/// </summary>
public sealed partial class TextGenerator : IDisposable
{
    /// <summary>
    /// Permitted difference of logits that are computed in two ways, relative to their spread. Rounding to 16 bits
    /// causes differences of up to 0.01. A wrong cache results in completely different logits.
    /// </summary>
    private const float Tolerance = 0.05f;

    private readonly OnnxModel model;
    private readonly ExecutionSlots slots;
    private readonly (string Past, string Present)[] layers;
    private readonly (long Heads, long Width) head;
    private readonly int vocabulary;
    private readonly ITokenizer tokenizer;
    private readonly OrtAllocator memory;
    private readonly ConcurrentBag<KvCache> caches = [];
    private int created;
    private long held;

    /// <param name="model">The decoder.</param>
    /// <param name="slots">Execution slots for the runs of the model.</param>
    /// <param name="memory">Memory of the model's session.</param>
    /// <exception cref="NotSupportedException">
    /// The model is not a supported decoder, or the cache cannot be in the memory that the attention uses.
    /// </exception>
    internal TextGenerator(OnnxModel model, ExecutionSlots slots, SessionMemory memory)
    {
        this.model = model;
        this.slots = slots;
        layers = [.. model.Inputs.Where(i => Past().IsMatch(i.Name))
            .Select(i => (i.Name, i.Name.Replace("past_key_values", "present", StringComparison.Ordinal)))];
        var missing = new[] { "input_ids", "attention_mask" }.Where(n => model.Input(n) is null)
            .Concat(layers.Select(l => l.Present).Append("logits").Where(n => model.Output(n) is null)).ToList();
        if (missing.Count > 0 || layers.Length == 0)
            throw new NotSupportedException(
                $"text generation needs {string.Join(", ", missing.DefaultIfEmpty("past_key_values.*"))}");
        tokenizer = Tokenizers.For(model.Metadata);
        var shape = model.Input(layers[0].Past)!.Shape;
        head = (shape[1], shape[3]);
        vocabulary = (int)model.Output("logits")!.Shape[2];
        Context = Tokenizers.ReadNumber(model.Metadata, "sluice.context", 512);
        this.memory = !KvCacheLocation.OnDevice(model.Session.Recorded, model.Session.Provider)
            ? OrtAllocator.DefaultInstance
            : memory.Device ?? throw new NotSupportedException(
                $"its key/value cache must be in the memory of {model.Session.Provider}: {memory.Lacks}");
    }

    /// <summary>Maximum number of tokens of prompt and generated text together.</summary>
    public int Context { get; }

    /// <summary>Number of tokens in the key/value caches.</summary>
    public long TokensHeld => Volatile.Read(ref held);

    /// <summary>Capacity of the allocated key/value caches, in tokens.</summary>
    public long TokenRoom => (long)Volatile.Read(ref created) * Context;

    /// <summary>Rejects a prompt that leaves no room for a token.</summary>
    /// <exception cref="InvalidRequestException">400: the prompt is too long.</exception>
    public void Check(GenerationRequest request)
    {
        var prompt = tokenizer.Count(request.Text);
        if (prompt >= Context)
            throw new InvalidRequestException(
                $"'text_input' has '{prompt - 1}' tokens ({tokenizer.Unit}); expected at most {Context - 2}: model "
                + $"'{model.Name}' has a context of {Context}.");
    }

    /// <summary>
    /// Verifies the key/value cache. A prompt that is read in one run must result in the same logits as a prompt that
    /// is read in parts, through the cache. The check is needed because attention with a cache in the wrong memory
    /// causes no error, only wrong tokens.
    /// </summary>
    /// <returns>Null if the cache works, else a description of the difference.</returns>
    public string? FindCacheError()
    {
        int[] prompt = [tokenizer.EndOfText, 1, 2, 3];
        var whole = LogitsAfter(prompt);
        var cached = UseCache((state, options) =>
        {
            state.Prefill(options, prompt[..2]);
            state.Step(options, prompt[2]);
            return state.Step(options, prompt[3]).ToArray();
        });
        var (spread, difference) = (whole.Max() - whole.Min(), 0f);
        for (var i = 0; i < whole.Length; i++) difference = Math.Max(difference, Math.Abs(whole[i] - cached[i]));
        return difference <= Tolerance * spread
            ? null
            : "its key/value cache does not return the values that were written: "
                + $"logits that must be equal differ by {difference} of {spread}";
    }

    /// <summary>Returns the logits after a prompt of tokens, to compare two files of one model.</summary>
    internal float[] LogitsAfter(int[] prompt) =>
        UseCache((state, options) => state.Prefill(options, prompt).ToArray());

    /// <summary>
    /// Returns one piece per token, as soon as it is generated. Cancelling stops it before the next token.
    /// </summary>
    public async IAsyncEnumerable<GeneratedPiece> GenerateAsync(GenerationRequest request,
        [EnumeratorCancellation] CancellationToken ct)
    {
        Check(request);
        var prompt = tokenizer.Encode(request.Text);
        var sampling = new TokenSampling(request, tokenizer);
        var text = new TextStream(tokenizer.CreateDecoder(), request.Stop);
        var most = Math.Min(request.MaxTokens, Context - prompt.Length);
        var cache = Rent();
        try
        {
            using var state = new DecodeState(this, cache);
            var (token, detail) = await slots.RunAsync(o => sampling.Next(state.Prefill(o, prompt)), ct);
            for (var tokens = 1; ; tokens++)
            {
                if (sampling.IsEnd(token))
                {
                    yield return new GeneratedPiece(text.Finish(), tokens - 1, "stop", detail);
                    yield break;
                }

                var piece = text.Push(token);
                if (text.Stopped || tokens == most)
                {
                    var reason = text.Stopped ? "stop" : "length";
                    yield return new GeneratedPiece(piece + text.Finish(), tokens, reason, detail);
                    yield break;
                }

                yield return new GeneratedPiece(piece, tokens, null, detail);
                var last = token;
                (token, detail) = await slots.RunAsync(o => sampling.Next(state.Step(o, last)), ct);
            }
        }
        finally
        {
            caches.Add(cache);
        }
    }

    public void Dispose()
    {
        while (caches.TryTake(out var cache)) cache.Dispose();
    }

    /// <summary>Runs the model with a rented cache, and returns the cache also if a run fails.</summary>
    private float[] UseCache(Func<DecodeState, RunOptions, float[]> run)
    {
        var cache = Rent();
        try
        {
            using var options = new RunOptions();
            using var state = new DecodeState(this, cache);
            return run(state, options);
        }
        finally
        {
            caches.Add(cache);
        }
    }

    private KvCache Rent()
    {
        if (caches.TryTake(out var cache)) return cache;
        cache = new KvCache(layers, head.Heads, Context, head.Width, memory);
        Interlocked.Increment(ref created);
        return cache;
    }

    [GeneratedRegex(@"^past_key_values\.\d+\.(key|value)\z")]
    private static partial Regex Past();

    /// <summary>Runs the model for one sequence. The attention mask has a 1 for each token read so far.</summary>
    private sealed class DecodeState : IDisposable
    {
        private readonly TextGenerator owner;
        private readonly KvCache cache;
        private readonly OrtValue one;
        private readonly OrtValue logits;
        private readonly string[] inputNames;
        private readonly string[] outputNames;
        private readonly long[] ones;
        private int length;

        public DecodeState(TextGenerator owner, KvCache cache)
        {
            this.owner = owner;
            this.cache = cache;
            inputNames = ["input_ids", "attention_mask", .. cache.PastNames];
            outputNames = ["logits", .. cache.PresentNames];
            one = New(TensorElementType.Int64, [1, 1]);
            logits = New(TensorElementType.Float, [1, 1, owner.vocabulary]);
            ones = GC.AllocateUninitializedArray<long>(owner.Context);
            Array.Fill(ones, 1);
        }

        /// <summary>Reads a prompt, and returns the logits after its last token.</summary>
        public ReadOnlySpan<float> Prefill(RunOptions options, int[] prompt)
        {
            using var ids = New(TensorElementType.Int64, [1, prompt.Length]);
            using var all = New(TensorElementType.Float, [1, prompt.Length, owner.vocabulary]);
            var span = ids.GetTensorMutableDataAsSpan<long>();
            for (var i = 0; i < prompt.Length; i++) span[i] = prompt[i];
            Run(options, ids, prompt.Length, all);
            return all.GetTensorDataAsSpan<float>()[^owner.vocabulary..].ToArray();
        }

        /// <summary>Reads one more token, and returns the logits after it.</summary>
        public ReadOnlySpan<float> Step(RunOptions options, int token)
        {
            one.GetTensorMutableDataAsSpan<long>()[0] = token;
            Run(options, one, 1, logits);
            return logits.GetTensorDataAsSpan<float>();
        }

        public void Dispose()
        {
            Interlocked.Add(ref owner.held, -length);
            one.Dispose();
            logits.Dispose();
        }

        private void Run(RunOptions options, OrtValue ids, int count, OrtValue into)
        {
            length += count;
            Interlocked.Add(ref owner.held, count);
            using var mask = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance,
                ones.AsMemory(0, length), [1, length]);
            owner.model.Session.Run(options, inputNames, [ids, mask, .. cache.Buffers], outputNames,
                [into, .. cache.Buffers]);
        }

        private static OrtValue New(TensorElementType type, long[] shape) =>
            OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
    }
}
