using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>One generated token's share of the text; the last one says why it ended.</summary>
/// <param name="Text">Text to append; empty while a character or a possible stop string is incomplete.</param>
/// <param name="Tokens">Tokens made so far.</param>
/// <param name="FinishReason">Null until the end; then <c>stop</c> (end of text, or a stop string) or <c>length</c>.
/// </param>
/// <param name="Token">The token, where the request asks for details; the end of the text is one too.</param>
public readonly record struct GeneratedPiece(string Text, int Tokens, string? FinishReason, GeneratedToken? Token = null)
{
    /// <summary>The protocol's word for the end: <c>length</c>, <c>eos_token</c> or <c>stop_sequence</c>.</summary>
    public string EndedBy => FinishReason == "length" ? "length" : Token is { Special: true } ? "eos_token" : "stop_sequence";
}

/// <summary>
/// Generates text with a decoder model whose inputs and outputs have the names of ONNX Runtime GenAI's model builder,
/// over bytes. Prefill is one run, each token after it one more; between two runs the caller's going away is noticed.
/// </summary>
public sealed partial class TextGenerator : IDisposable
{
    /// <summary>Two ways to the same logits differ by rounding: in 16 bits by up to a hundredth of their spread. A wrong cache gives other logits altogether.</summary>
    private const float Tolerance = 0.05f;

    private readonly LoadedModel model;
    private readonly RunLanes lanes;
    private readonly (string Past, string Present)[] layers;
    private readonly (long Heads, long Width) head;
    private readonly int vocabulary;
    private readonly byte endOfText;
    private readonly OrtAllocator memory;
    private readonly ConcurrentBag<KvCache> caches = [];
    private int made;
    private long held;

    /// <param name="model">The decoder.</param>
    /// <param name="lanes">Where it runs.</param>
    /// <param name="memory">Of its session; throws <see cref="NotSupportedException"/> when the cache cannot stand where the attention wants it.</param>
    internal TextGenerator(LoadedModel model, RunLanes lanes, SessionMemory memory)
    {
        (this.model, this.lanes) = (model, lanes);
        layers = [.. model.Inputs.Where(i => Past().IsMatch(i.Name))
            .Select(i => (i.Name, i.Name.Replace("past_key_values", "present", StringComparison.Ordinal)))];
        var missing = new[] { "input_ids", "attention_mask" }.Where(n => model.Input(n) is null)
            .Concat(layers.Select(l => l.Present).Append("logits").Where(n => model.Output(n) is null)).ToList();
        if (missing.Count > 0 || layers.Length == 0)
            throw new NotSupportedException($"text generation needs {string.Join(", ", missing.DefaultIfEmpty("past_key_values.*"))}");
        if (model.Metadata.GetValueOrDefault("sluice.vocab") != "bytes")
            throw new NotSupportedException("text generation: only models over bytes (sluice.vocab=bytes) are supported");
        var shape = model.Input(layers[0].Past)!.Shape;
        head = (shape[1], shape[3]);
        vocabulary = (int)model.Output("logits")!.Shape[2];
        endOfText = (byte)Number("sluice.eos", 0);
        Context = Number("sluice.context", 512);
        this.memory = !CachePlace.OnDevice(model.Session.Recorded, model.Session.Provider) ? OrtAllocator.DefaultInstance
            : memory.Device ?? throw new NotSupportedException($"its key/value cache must be in the memory of {model.Session.Provider}: {memory.Lacks}");
    }

    /// <summary>Tokens of prompt and answer together, at most.</summary>
    public int Context { get; }

    /// <summary>Tokens in its key/value caches.</summary>
    public long TokensHeld => Volatile.Read(ref held);

    /// <summary>Tokens that these caches have room for.</summary>
    public long TokenRoom => (long)Volatile.Read(ref made) * Context;

    /// <summary>Throws 400 when the prompt leaves no room for a token.</summary>
    public void Check(GenerationRequest request)
    {
        var prompt = Encoding.UTF8.GetByteCount(request.Text) + 1;
        if (prompt >= Context)
            throw new InvalidRequestException($"text_input has {prompt - 1} tokens (bytes), expected at most "
                + $"{Context - 2}: model '{model.Name}' has a context of {Context}");
    }

    /// <summary>Makes a few tokens: what is wrong with them, or null. A prompt that is read at once must lead to the same logits as one that is read in parts,
    /// through the cache: with a cache in the wrong memory attention makes no error, only other tokens.</summary>
    public string? Wrong()
    {
        byte[] prompt = [endOfText, 1, 2, 3];
        var cache = Rent();
        using var options = new RunOptions();
        using (var state = new DecodeState(this, cache))
        {
            var whole = state.Prefill(options, prompt).ToArray();
            using var parts = new DecodeState(this, cache);
            parts.Prefill(options, prompt[..2]);
            parts.Step(options, prompt[2]);
            var last = parts.Step(options, prompt[3]);
            var (spread, apart) = (whole.Max() - whole.Min(), 0f);
            for (var i = 0; i < whole.Length; i++) apart = Math.Max(apart, Math.Abs(whole[i] - last[i]));
            caches.Add(cache);
            return apart <= Tolerance * spread ? null : $"its key/value cache does not hold what was written: logits that should be equal are {apart} apart, of {spread}";
        }
    }

    /// <summary>Logits after a prompt of bytes, to compare two files of one model.</summary>
    internal double[] LogitsAfter(byte[] prompt)
    {
        var cache = Rent();
        using var options = new RunOptions();
        using var state = new DecodeState(this, cache);
        double[] logits = [.. state.Prefill(options, prompt).ToArray().Select(l => (double)l)];
        caches.Add(cache);
        return logits;
    }

    /// <summary>One piece a token, as they are made. Cancelling stops it before the next token.</summary>
    public async IAsyncEnumerable<GeneratedPiece> GenerateAsync(GenerationRequest request,
        [EnumeratorCancellation] CancellationToken ct)
    {
        Check(request);
        // A text begins where another ended.
        byte[] prompt = [endOfText, .. Encoding.UTF8.GetBytes(request.Text)];
        var sampler = new Sampler(request.Temperature, request.Seed, request.TopK, request.TopP);
        var text = new TextStream(request.Stop);
        var most = Math.Min(request.MaxTokens, Context - prompt.Length);
        var cache = Rent();
        try
        {
            using var state = new DecodeState(this, cache);
            var (token, detail) = await lanes.RunAsync(o => Choose(request, sampler, state.Prefill(o, prompt)), ct);
            for (var made = 1; ; made++)
            {
                if (token == endOfText && !request.IgnoreEos)
                {
                    yield return new GeneratedPiece(text.Finish(), made - 1, "stop", detail);
                    yield break;
                }

                var piece = text.Push((byte)token);
                if (text.Stopped || made == most)
                {
                    yield return new GeneratedPiece(piece + text.Finish(), made, text.Stopped ? "stop" : "length", detail);
                    yield break;
                }

                yield return new GeneratedPiece(piece, made, null, detail);
                var last = (byte)token;
                (token, detail) = await lanes.RunAsync(o => Choose(request, sampler, state.Step(o, last)), ct);
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

    private (int Token, GeneratedToken? Detail) Choose(GenerationRequest request, Sampler sampler, ReadOnlySpan<float> logits)
    {
        var token = sampler.Next(logits);
        return (token, request.Details ? GeneratedToken.Of(token, logits, token == endOfText && !request.IgnoreEos) : null);
    }

    private KvCache Rent()
    {
        if (caches.TryTake(out var cache)) return cache;
        cache = new KvCache(layers, head.Heads, Context, head.Width, memory);
        Interlocked.Increment(ref made);
        return cache;
    }

    private int Number(string property, int otherwise) =>
        int.TryParse(model.Metadata.GetValueOrDefault(property), CultureInfo.InvariantCulture, out var n) ? n : otherwise;

    [GeneratedRegex(@"^past_key_values\.\d+\.(key|value)\z")]
    private static partial Regex Past();

    /// <summary>One sequence's runs. The attention mask is as wide as what has been seen, all ones.</summary>
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
            (this.owner, this.cache) = (owner, cache);
            inputNames = ["input_ids", "attention_mask", .. cache.PastNames];
            outputNames = ["logits", .. cache.PresentNames];
            one = New(TensorElementType.Int64, [1, 1]);
            logits = New(TensorElementType.Float, [1, 1, owner.vocabulary]);
            ones = GC.AllocateUninitializedArray<long>(owner.Context);
            Array.Fill(ones, 1);
        }

        /// <summary>Reads the whole prompt; the logits after its last token.</summary>
        public ReadOnlySpan<float> Prefill(RunOptions options, byte[] prompt)
        {
            using var ids = New(TensorElementType.Int64, [1, prompt.Length]);
            using var all = New(TensorElementType.Float, [1, prompt.Length, owner.vocabulary]);
            var span = ids.GetTensorMutableDataAsSpan<long>();
            for (var i = 0; i < prompt.Length; i++) span[i] = prompt[i];
            Run(options, ids, prompt.Length, all);
            return all.GetTensorDataAsSpan<float>()[^owner.vocabulary..].ToArray();
        }

        /// <summary>Reads one more token; the logits after it.</summary>
        public ReadOnlySpan<float> Step(RunOptions options, byte token)
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
