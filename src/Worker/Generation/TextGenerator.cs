using System.Diagnostics;
using System.Runtime.CompilerServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;
using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Generates text with a decoder model: its tokenizer, its key/value cache, and the engine that generates all texts
/// together.
/// </summary>
public sealed class TextGenerator : IDisposable
{
    /// <summary>
    /// Permitted difference of logits that are computed in two ways, relative to their spread. Rounding to 16 bits
    /// causes differences of up to 0.01. A wrong cache results in completely different logits.
    /// </summary>
    private const float Tolerance = 0.05f;

    /// <summary>The share of the memory of the process that the cache may use, if no size is set.</summary>
    private const int DefaultCacheShare = 4;

    /// <summary>The cache has room for this number of tokens, however small its limit is.</summary>
    private const int LeastContext = 512;

    private readonly OnnxModel model;
    private readonly ITokenizer tokenizer;
    private readonly IKvRows rows;
    private readonly IDecoder decoder;
    private readonly GenerationEngine engine;

    /// <summary>Read at the first chat, so that a wrong template does not prevent other requests.</summary>
    private readonly Lazy<ChatSettings?> chat;

    /// <param name="model">The decoder.</param>
    /// <param name="slots">Execution slots for the runs of the model.</param>
    /// <param name="memory">Memory of the model's session.</param>
    /// <param name="limits">Limits of concurrent texts, of the cache and of the queue.</param>
    /// <exception cref="NotSupportedException">
    /// The model is not a supported decoder, or the cache cannot be in the memory that the attention uses.
    /// </exception>
    internal TextGenerator(OnnxModel model, ExecutionSlots slots, SessionMemory memory, GenerationLimits limits)
    {
        this.model = model;
        var settings = TextModelSettings.Read(model);
        var layout = DecoderLayout.Read(model, settings);
        tokenizer = Tokenizers.For(model.Metadata, ModelFolder.ConfigurationFolder(model.Path));
        (rows, decoder) = CreateDecoder(model, layout, memory);
        var schedule = LimitsOf(layout, limits, settings.Context);
        PrefixCache = limits.PrefixCache;
        engine = new GenerationEngine(
            decoder, new SequenceRows(rows, PrefixCache != PrefixCache.Off), slots, schedule, limits.MaxQueue);
        chat = new Lazy<ChatSettings?>(() =>
            ChatTemplateSource.Read(ModelFolder.ConfigurationFolder(model.Path)) is { } source
                ? ChatSettings.Create(source, tokenizer.SpecialTokens)
                : null);
        Context = schedule.Context;
        Defaults = settings.Defaults;
    }

    /// <summary>The tokenizer of the model.</summary>
    public ITokenizer Tokenizer => tokenizer;

    /// <summary>How the model chats; null: it has no chat template.</summary>
    /// <exception cref="TemplateException">The template of the model is not valid.</exception>
    public ChatSettings? Chat => chat.Value;

    /// <summary>Sampling parameters that the publisher of the model recommends.</summary>
    public SamplingDefaults Defaults { get; }

    /// <summary>Maximum number of tokens of prompt and generated text together.</summary>
    public int Context { get; }

    /// <summary>Which texts share the tokens with which they begin.</summary>
    public PrefixCache PrefixCache { get; }

    /// <summary>Number of tokens in the key/value cache.</summary>
    public long TokensHeld => Counters.TokensHeld;

    /// <summary>
    /// Number of tokens for which the key/value cache can have room. The cache is allocated on demand.
    /// </summary>
    public long TokenRoom =>
        Math.Min(engine.Limits.CacheTokens, (long)engine.Limits.MaxSequences * engine.Limits.Context);

    /// <summary>What the engine did so far.</summary>
    public GenerationCounters Counters => engine.Counters;

    /// <summary>Durations and sizes of the texts so far.</summary>
    public GenerationStatisticsView Statistics => engine.Statistics;

    /// <summary>Rejects a prompt that leaves no room for a token.</summary>
    /// <exception cref="InvalidRequestException">400: the prompt is too long.</exception>
    public void Check(GenerationRequest request)
    {
        if (request.Prompt is { } tokens)
        {
            CheckLength(tokens.Count);
            return;
        }

        var prompt = tokenizer.Count(request.Text);
        if (prompt >= Context)
            throw new InvalidRequestException(
                $"'text_input' has '{prompt - 1}' tokens ({tokenizer.Unit}); expected at most {Context - 2}: model "
                + $"'{model.Name}' has a context of {Context}.");
    }

    /// <summary>Rejects a prompt of tokens that leaves no room for a token.</summary>
    /// <exception cref="InvalidRequestException">400: the prompt is empty or too long.</exception>
    public void CheckLength(int tokens)
    {
        if (tokens == 0) throw new InvalidRequestException("The prompt has no tokens; expected at least 1.");
        if (tokens >= Context)
            throw new InvalidRequestException(
                $"The prompt has {tokens} tokens; expected at most {Context - 1}: model '{model.Name}' has a context "
                + $"of {Context}.");
    }

    /// <summary>
    /// Verifies the key/value cache, before the first text is generated. A prompt that is read in one run must result
    /// in the same logits as a prompt that is read in parts, alone and together with another sequence. The check is
    /// needed because attention with a cache in the wrong memory causes no error, only wrong tokens.
    /// </summary>
    /// <returns>Null if the cache works, else a description of the difference.</returns>
    public string? FindCacheError()
    {
        int[] prompt = [Math.Max(0, tokenizer.EndOfText), 1, 2, 3];
        var whole = LogitsAfter(prompt);
        float[] parts, together;
        try
        {
            using var options = new RunOptions();
            rows.Resize(rows.IsShared ? 2 : 1, engine.Limits.LengthFor(prompt.Length), []);
            decoder.Read(options, 0, 0, prompt.AsSpan(..2));
            decoder.Read(options, 0, 2, prompt.AsSpan(2..3));
            decoder.Read(options, 0, 3, prompt.AsSpan(3..));
            parts = decoder.LogitsOf(0).ToArray();
            if (decoder.ReadsSeveralRows)
            {
                decoder.Read(options, 1, 0, prompt.AsSpan(..3));
                decoder.ReadRows(options, [2, 3], [prompt[3], prompt[3]]);
                together = decoder.LogitsOf(1).ToArray();
            }
            else together = parts;
        }
        finally
        {
            rows.Dispose();
        }

        var spread = whole.Max() - whole.Min();
        var difference = Math.Max(Difference(whole, parts), Difference(whole, together));
        return difference <= Tolerance * spread
            ? null
            : "its key/value cache does not return the values that were written: "
                + $"logits that must be equal differ by {difference} of {spread}";
    }

    /// <summary>
    /// Returns the logits after a prompt of tokens, to compare two files of one model. Only while no text is generated.
    /// </summary>
    internal float[] LogitsAfter(int[] prompt)
    {
        try
        {
            using var options = new RunOptions();
            rows.Resize(1, engine.Limits.LengthFor(prompt.Length), []);
            decoder.Read(options, 0, 0, prompt);
            return decoder.LogitsOf(0).ToArray();
        }
        finally
        {
            rows.Dispose();
        }
    }

    /// <summary>
    /// Returns one piece per token, as soon as it is generated. Cancelling ends the generation before the next step.
    /// </summary>
    public async IAsyncEnumerable<GeneratedPiece> GenerateAsync(
        GenerationRequest request,
        [EnumeratorCancellation] CancellationToken ct)
    {
        Check(request);
        var prompt = request.Prompt?.ToArray() ?? tokenizer.Encode(request.Text);
        var sequence = engine.Submit(id => new Sequence(
            id,
            prompt,
            Math.Min(request.MaxTokens, Context - prompt.Length),
            new TokenSampling(request, prompt, tokenizer),
            new TextStream(
                request.KeepsSpecialTokens ? new SpecialTokenDecoder(tokenizer) : tokenizer.CreateDecoder(),
                request.Stop),
            PrefixCache == PrefixCache.Key ? request.Scope : "",
            request.Priority,
            request.Timeout is { } timeout
                ? Stopwatch.GetTimestamp() + (long)(timeout.TotalSeconds * Stopwatch.Frequency)
                : long.MaxValue));
        try
        {
            await foreach (var piece in sequence.Pieces.ReadAllAsync(ct)) yield return piece;
        }
        finally
        {
            engine.Abandon(sequence);
        }
    }

    public void Dispose()
    {
        engine.Dispose();
        decoder.Dispose();
        rows.Dispose();
    }

    private static (IKvRows Rows, IDecoder Decoder) CreateDecoder(
        OnnxModel model,
        DecoderLayout layout,
        SessionMemory memory)
    {
        var placement = model.Session.Recorded;
        var onDevice = KvCacheLocation.OnDevice(placement, model.Session.Provider);
        if (KvCacheLocation.InPlace(placement) && onDevice)
        {
            var separate = new SeparateKvRows(layout, memory.Device ?? throw new NotSupportedException(
                $"its key/value cache must be in the memory of {model.Session.Provider}: {memory.Lacks}"));
            return (separate, new InPlaceDecoder(model.Session, layout, separate));
        }

        var slab = new KvSlab(layout, OrtAllocator.DefaultInstance);
        return (slab, KvCacheLocation.InPlace(placement)
            ? new InPlaceDecoder(model.Session, layout, slab)
            : new AppendingDecoder(model.Session, layout, slab));
    }

    private SchedulerLimits LimitsOf(DecoderLayout layout, GenerationLimits limits, int context)
    {
        var bytes = limits.CacheBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / DefaultCacheShare;
        // The past and the present of a run are further copies.
        var copies = decoder is AppendingDecoder ? 3 : 1;
        var tokens = Math.Max(LeastContext, bytes / (layout.TokenBytes * copies));
        if (rows.IsShared) tokens = Math.Min(tokens, KvSlab.MaxTokens(layout));
        var longest = (int)Math.Min(context, tokens);
        // Memory that cannot be copied cannot be resized either.
        return new SchedulerLimits(longest, tokens, limits.MaxSequences,
            rows.IsShared ? Math.Min(256, longest) : longest);
    }

    private static float Difference(float[] expected, float[] actual)
    {
        var difference = 0f;
        for (var i = 0; i < expected.Length; i++)
            difference = Math.Max(difference, Math.Abs(expected[i] - actual[i]));
        return difference;
    }
}
