using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
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
    private readonly OnnxModel model;
    private readonly ITokenizer tokenizer;
    private readonly IGenerationBackEnd backEnd;
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
        tokenizer = Tokenizers.For(model.Metadata, ModelFolder.ConfigurationFolder(model.Path));
        backEnd = PagedLayout.Matches(model, settings.Names)
            ? new PagedBackEnd(model, settings, memory, limits)
            : new RowBackEnd(model, settings, memory, limits);
        PrefixCache = limits.PrefixCache;
        engine = new GenerationEngine(
            backEnd, PrefixCache != PrefixCache.Off, slots, new QueueLimits(limits.MaxQueue, limits.MaxQueueTokens));
        chat = new Lazy<ChatSettings?>(() =>
            ChatTemplateSource.Read(ModelFolder.ConfigurationFolder(model.Path)) is { } source
                ? ChatSettings.Create(source, tokenizer.SpecialTokens)
                : null);
        Context = backEnd.Limits.Context;
        Defaults = settings.Defaults;
        Fingerprint = ModelFingerprint.Compute(model.Path);
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

    /// <summary>
    /// Identifies the model, its tokenizer and its templates. Only a worker with the same one can continue a text.
    /// </summary>
    public string Fingerprint { get; }

    /// <summary>Which texts share the tokens with which they begin.</summary>
    public PrefixCache PrefixCache { get; }

    /// <summary>Number of tokens in the key/value cache.</summary>
    public long TokensHeld => Counters.TokensHeld;

    /// <summary>
    /// Number of tokens for which the key/value cache can have room. The cache is allocated on demand.
    /// </summary>
    public long TokenRoom =>
        Math.Min(engine.Limits.CacheTokens, (long)engine.Limits.MaxSequences * engine.Limits.Context);

    /// <summary>
    /// The part of the cache that a text uses: <c>block=16</c> for whole blocks, <c>row=256</c> for a row that is
    /// doubled until the text fits.
    /// </summary>
    public string CacheUnit => engine.Limits.BlockSize > 0
        ? string.Create(CultureInfo.InvariantCulture, $"block={engine.Limits.BlockSize}")
        : string.Create(CultureInfo.InvariantCulture, $"row={engine.Limits.ShortestRow}");

    /// <summary>What the engine did so far.</summary>
    public GenerationCounters Counters => engine.Counters;

    /// <summary>Durations and sizes of the texts so far.</summary>
    public GenerationStatisticsView Statistics => engine.Statistics;

    /// <summary>
    /// Rejects a request if the queue is full, before its prompt is converted to tokens, which takes time.
    /// </summary>
    /// <exception cref="InvalidRequestException">503: too many requests or tokens wait.</exception>
    public void CheckQueue() => engine.CheckQueue(0);

    /// <summary>Converts the text of a request to the tokens of its prompt, unless the request has them.</summary>
    /// <exception cref="InvalidRequestException">400: the prompt leaves no room for a token.</exception>
    public GenerationRequest Tokenize(GenerationRequest request)
    {
        if (request.Prompt is not null) return request;
        if (tokenizer.LeastTokens(request.Text) is var least && least >= Context) throw TooLong(least);
        var prompt = tokenizer.Encode(request.Text);
        return prompt.Length < Context ? request with { Prompt = prompt } : throw TooLong(prompt.Length - 1);

        InvalidRequestException TooLong(int tokens) => new(
            $"'text_input' has '{tokens}' tokens or more ({tokenizer.Unit}); expected at most {Context - 2}: model "
            + $"'{model.Name}' has a context of {Context}.");
    }

    /// <summary>
    /// Rejects a text that is so large that it must have too many tokens, before it is converted to tokens. Not all
    /// tokenizers have such a size.
    /// </summary>
    /// <exception cref="InvalidRequestException">400: the prompt leaves no room for a token.</exception>
    public void CheckSize(string text)
    {
        if (tokenizer.LeastTokens(text) is var least && least >= Context)
            throw new InvalidRequestException(
                $"The prompt has at least {least} tokens; expected at most {Context - 1}: model '{model.Name}' has a "
                + $"context of {Context}.");
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

    /// <summary>Verifies the key/value cache, before the first text is generated.</summary>
    /// <returns>Null if the cache works, else a description of the difference.</returns>
    public string? FindCacheError() => new CacheProof(backEnd, tokenizer.EndOfText).FindError();

    /// <summary>
    /// Returns the logits after a prompt of tokens, to compare two files of one model. Only while no text is generated.
    /// </summary>
    internal float[] LogitsAfter(int[] prompt) => new CacheProof(backEnd, tokenizer.EndOfText).LogitsAfter(prompt);

    /// <summary>
    /// Returns one piece per token, as soon as it is generated. Cancelling ends the generation before the next step.
    /// </summary>
    public async IAsyncEnumerable<GeneratedPiece> GenerateAsync(
        GenerationRequest request,
        [EnumeratorCancellation] CancellationToken ct)
    {
        var tokens = Tokenize(request).Prompt!;
        CheckLength(tokens.Count);
        // Texts of one request share the array, so that a prompt is in memory once.
        var prompt = tokens as int[] ?? [.. tokens];
        var maxTokens = Math.Min(request.MaxTokens, Context - prompt.Length);
        var text = new TextStream(
            request.KeepsSpecialTokens ? new SpecialTokenDecoder(tokenizer) : tokenizer.CreateDecoder(),
            request.Stop);
        var earlier = Replay(request.Emitted, text, maxTokens);
        var sequence = engine.Submit(id => new Sequence(
            id,
            prompt,
            maxTokens,
            new TokenSampling(request, prompt, tokenizer),
            text,
            PrefixCache == PrefixCache.Key ? request.Scope : "",
            request.Priority,
            request.Timeout is { } timeout
                ? Stopwatch.GetTimestamp() + (long)(timeout.TotalSeconds * Stopwatch.Frequency)
                : long.MaxValue,
            request.Emitted));
        try
        {
            foreach (var piece in earlier) yield return piece;
            await foreach (var piece in sequence.Pieces.ReadAllAsync(ct)) yield return piece;
        }
        finally
        {
            engine.Abandon(sequence);
            if (request.Tally is { } tally)
            {
                tally.Usage = await GetUsageAsync(sequence);
                tally.Timeline = sequence.Timeline;
            }
        }
    }

    /// <summary>
    /// Returns the usage of a text when the engine has ended it: a step that runs now can still generate a token.
    /// </summary>
    private static async Task<GenerationUsage> GetUsageAsync(Sequence sequence)
    {
        try
        {
            while (await sequence.Pieces.WaitToReadAsync(CancellationToken.None))
                while (sequence.Pieces.TryRead(out _))
                {
                    // The reader has stopped.
                }
        }
        catch (Exception)
        {
            // The text failed, and its reader has the error.
        }

        return sequence.Usage;
    }

    /// <summary>Converts the tokens of another worker to the pieces that it returned for them.</summary>
    /// <exception cref="InvalidRequestException">400: no worker can have generated the tokens.</exception>
    private static List<GeneratedPiece> Replay(IReadOnlyList<int> emitted, TextStream text, int maxTokens)
    {
        if (emitted.Count >= maxTokens)
            throw new InvalidRequestException(
                $"The text to continue has {emitted.Count} tokens; expected at most {maxTokens - 1}.");
        var pieces = new List<GeneratedPiece>(emitted.Count);
        foreach (var token in emitted)
        {
            if (token < 0)
                throw new InvalidRequestException(
                    $"The text to continue has the token '{token}'; expected 0 or more.");
            pieces.Add(new GeneratedPiece(text.Push(token), pieces.Count + 1, null) { Id = token, IsEarlier = true });
        }

        return text.Stopped
            ? throw new InvalidRequestException("The text to continue has a stop string; expected none.")
            : pieces;
    }

    public void Dispose()
    {
        engine.Dispose();
        backEnd.Dispose();
    }
}
