using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>What chat completions and completions have in common.</summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Count">Number of texts to generate for each prompt, 1 to 128.</param>
/// <param name="Stream">Whether the response is a stream of events.</param>
/// <param name="IncludeUsage">Whether the last event of the stream contains the number of tokens.</param>
/// <param name="Logprobs">Whether the response contains the log probabilities of tokens.</param>
/// <param name="Sampling">The parameters of the generation, without a prompt.</param>
internal sealed record CompletionOptions(
    string Model,
    int Count,
    bool Stream,
    bool IncludeUsage,
    bool Logprobs,
    GenerationRequest Sampling)
{
    /// <summary>Maximum number of texts of a request, so that one request does not fill the queue.</summary>
    public const int MaxCount = 128;

    /// <summary>The salt is kept with the tokens that it separates.</summary>
    private const int MaxSaltLength = 256;

    /// <summary>Reads the options of a request.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="generator">The model, for its recommended sampling parameters.</param>
    /// <param name="defaultSeed">The seed if the request has none.</param>
    /// <param name="topLogprobs">
    /// Number of most likely tokens with log probabilities; null: no log probabilities.
    /// </param>
    /// <param name="defaultTokens">Maximum number of generated tokens if the request has none.</param>
    public static CompletionOptions Read(
        RequestFields fields,
        TextGenerator generator,
        ulong defaultSeed,
        int? topLogprobs,
        int defaultTokens)
    {
        var stream = fields.Flag("stream");
        var options = fields.Object("stream_options");
        if (options is not null && !stream)
            throw new OpenAiException(
                "'stream_options' is set, but 'stream' is not true; expected both or none.", "stream_options");
        // Both names are in use; with both given, the smaller one counts.
        long?[] given = [fields.Integer("max_tokens", 1, int.MaxValue),
            fields.Integer("max_completion_tokens", 1, int.MaxValue)];
        var maxTokens = given.Min() ?? defaultTokens;
        var defaults = generator.Defaults;
        var seed = fields.Integer("seed", long.MinValue, long.MaxValue) is { } fixedSeed
            ? unchecked((ulong)fixedSeed)
            : defaultSeed;
        var sampling = new GenerationRequest(
            null,
            "",
            (int)maxTokens,
            fields.Number("temperature", 0, 10) ?? defaults.Temperature ?? 1,
            (int)Math.Max(0, fields.Integer("top_k", -1, int.MaxValue) ?? defaults.TopK ?? 0),
            fields.Number("top_p", 0, 1) ?? defaults.TopP ?? 1,
            seed,
            fields.Stops("stop"),
            fields.Flag("ignore_eos"),
            topLogprobs is not null,
            (int)(fields.Integer("min_tokens", 0, maxTokens) ?? 0))
        {
            MinP = fields.Number("min_p", 0, 1) ?? defaults.MinP ?? 0,
            RepetitionPenalty = fields.Number("repetition_penalty", 0.01, 10) ?? defaults.RepetitionPenalty ?? 1,
            PresencePenalty = fields.Number("presence_penalty", -2, 2) ?? 0,
            FrequencyPenalty = fields.Number("frequency_penalty", -2, 2) ?? 0,
            LogitBias = fields.LogitBias("logit_bias"),
            TopLogprobs = topLogprobs ?? 0,
            Priority = (int)(fields.Integer("priority", 0, 1000) ?? 0),
        };
        return new CompletionOptions(
            fields.RequiredText("model"),
            (int)(fields.Integer("n", 1, MaxCount) ?? 1),
            stream,
            options is { } of && of.Flag("include_usage"),
            topLogprobs is not null,
            sampling);
    }

    /// <summary>Returns the request for one text.</summary>
    /// <param name="prompt">The tokens of the prompt.</param>
    /// <param name="index">The number of the text, from 0. Texts of one request have different seeds.</param>
    /// <param name="scope">The scope in which the text shares the cache.</param>
    public GenerationRequest For(IReadOnlyList<int> prompt, int index, string scope) => Sampling with
    {
        Prompt = prompt,
        Seed = unchecked(Sampling.Seed + (ulong)index),
        Scope = scope,
    };

    /// <summary>Reads the value of <c>cache_salt</c>, as in vLLM: only requests with the same one share the cache.
    /// </summary>
    public static string Scope(RequestFields fields, string flow) =>
        fields.Text("cache_salt") switch
        {
            null => flow,
            { Length: > MaxSaltLength } => throw new OpenAiException(
                $"'cache_salt' is longer than {MaxSaltLength} characters; expected at most {MaxSaltLength}.",
                "cache_salt"),
            var salt => $"{flow}\n{salt}",
        };
}
