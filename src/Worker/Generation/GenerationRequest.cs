using System.Collections.Immutable;
using System.Text.Json;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>A request of the generate extension for a text generation model.</summary>
/// <param name="Id">Id of the request, which the response repeats.</param>
/// <param name="Text">The prompt.</param>
/// <param name="MaxTokens">Maximum number of tokens to generate, 1 or more.</param>
/// <param name="Temperature">Sampling temperature, 0 to 10; 0 selects the most likely token.</param>
/// <param name="TopK">Number of most likely tokens to sample from; 0: all.</param>
/// <param name="TopP">
/// Share of the probability of these tokens, 0 to 1: only the fewest most likely tokens with this share are sampled.
/// </param>
/// <param name="Seed">Seed of the sampling.</param>
/// <param name="Stop">Strings that end the generation. They are not part of the text.</param>
/// <param name="IgnoreEos">
/// Whether the generation continues after the end-of-text token: for benchmarks, as in vLLM.
/// </param>
/// <param name="Details">
/// Whether the response contains each token with its log probability, and the reason for the end of the text.
/// </param>
/// <param name="MinTokens">
/// Number of tokens before which the end-of-text token is not generated, 0 to <paramref name="MaxTokens"/>; as in vLLM.
/// </param>
public sealed record GenerationRequest(
    string? Id,
    string Text,
    int MaxTokens,
    double Temperature,
    int TopK,
    double TopP,
    ulong Seed,
    IReadOnlyList<string> Stop,
    bool IgnoreEos = false,
    bool Details = false,
    int MinTokens = 0)
{
    private const int DefaultMaxTokens = 64;

    /// <summary>
    /// Tokens that are less likely than this share of the most likely one are not sampled, 0 to 1; 0: all.
    /// </summary>
    public double MinP { get; init; }

    /// <summary>
    /// Divides the positive logits of tokens that occurred already, and multiplies the negative ones; above 0, at most
    /// 10; 1: no effect.
    /// </summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from the logits of generated tokens, -2 to 2.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Subtracted from the logits of generated tokens for each occurrence, -2 to 2.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Numbers from -100 to 100 that are added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = ImmutableDictionary<int, float>.Empty;

    /// <summary>The tokens of the prompt. Null: those of <c>Text</c>.</summary>
    public IReadOnlyList<int>? Prompt { get; init; }

    /// <summary>
    /// The tokens of the text that another worker generated. The generation continues after them as if this worker had
    /// generated them too.
    /// </summary>
    public IReadOnlyList<int> Emitted { get; init; } = [];

    /// <summary>Receives the usage of the text; null: nothing asks for it.</summary>
    public GenerationTally? Tally { get; init; }

    /// <summary>Whether the text contains the special tokens that are generated.</summary>
    public bool KeepsSpecialTokens { get; init; }

    /// <summary>
    /// Restricts the tokens, after all other changes of the logits. For one text only. Null: no restriction.
    /// </summary>
    public ILogitsProcessor? Constraint { get; init; }

    /// <summary>
    /// Number of most likely tokens whose log probabilities the details of each token contain, 0 to 20.
    /// </summary>
    public int TopLogprobs { get; init; }

    /// <summary>Requests with lower numbers are served first, 0 to 1000.</summary>
    public int Priority { get; init; }

    /// <summary>
    /// How long the request may wait until its generation starts; then it fails with 504. Null: any time.
    /// </summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Texts that begin with the same tokens share their keys and values within one scope.</summary>
    public string Scope { get; init; } = "";

    /// <summary>Reads a request: <c>id</c> (optional), <c>text_input</c>, and the parameters.</summary>
    /// <exception cref="InvalidRequestException">
    /// A field is invalid; the message contains the field, its value and the expected value.
    /// </exception>
    public static GenerationRequest Read(JsonElement body) => Read(body, [], (ulong)Random.Shared.NextInt64());

    /// <summary>Reads a request that is part of another object.</summary>
    /// <param name="body">The request.</param>
    /// <param name="others">Keys of the object that do not belong to the generation.</param>
    /// <param name="seed">The seed if the request has none.</param>
    public static GenerationRequest Read(JsonElement body, IReadOnlyList<string> others, ulong seed)
    {
        if (body.ValueKind != JsonValueKind.Object) throw RequestJson.NotAnObject();
        if (!body.TryGetProperty("text_input", out var text))
        {
            var hasInput = body.TryGetProperty("input", out _) && !others.Contains("model");
            throw new InvalidRequestException(
                "unexpected key not found in generate request, expecting key 'text_input'"
                + RequestJson.HintFor(
                    hasInput, body.TryGetProperty("model", out _), body.TryGetProperty("messages", out _)));
        }

        if (text.ValueKind != JsonValueKind.String)
            throw GenerationParameters.InvalidValue("text_input", text, "a string");
        var parameters = new GenerationParameters(body, others);
        var maxTokens = (int)parameters.ReadInteger("max_tokens", 1, int.MaxValue, DefaultMaxTokens);
        return new GenerationRequest(
            body.TryGetProperty("id", out var id) && id.ToString() is { Length: > 0 } name ? name : null,
            text.GetString()!,
            maxTokens,
            parameters.ReadNumber("temperature", 0, 10, 1),
            parameters.ReadLimit("top_k"),
            parameters.ReadNumber("top_p", 0, 1, 1),
            parameters.ReadInteger("seed", 0, ulong.MaxValue, seed),
            parameters.ReadStrings("stop"),
            parameters.ReadFlag("ignore_eos"),
            parameters.ReadFlag("details"),
            (int)parameters.ReadInteger("min_tokens", 0, (ulong)maxTokens, 0))
        {
            MinP = parameters.ReadNumber("min_p", 0, 1, 0),
            RepetitionPenalty = parameters.ReadNumber("repetition_penalty", 0.01, 10, 1),
            PresencePenalty = parameters.ReadNumber("presence_penalty", -2, 2, 0),
            FrequencyPenalty = parameters.ReadNumber("frequency_penalty", -2, 2, 0),
            LogitBias = parameters.ReadLogitBias("logit_bias"),
            Priority = (int)parameters.ReadInteger("priority", 0, 1000, 0),
            // Microseconds, as in Triton's schedulers.
            Timeout = parameters.ReadInteger("timeout", 0, 86_400_000_000, 0) is > 0 and var timeout
                ? TimeSpan.FromMicroseconds(timeout)
                : null,
        };
    }
}
