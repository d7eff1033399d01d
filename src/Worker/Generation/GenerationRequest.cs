using System.Text.Json;
using Sluice.Worker.Api;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>What text to make: the generate extension's request.</summary>
/// <param name="Id">Echoed.</param>
/// <param name="Text">The prompt.</param>
/// <param name="MaxTokens">Tokens to make at most, 1 or more.</param>
/// <param name="Temperature">0 takes the most likely token; up to 10.</param>
/// <param name="TopK">Only so many of the most likely tokens may be chosen; 0: all.</param>
/// <param name="TopP">Of those, the fewest most likely that have this share of their probability, 0 to 1.</param>
/// <param name="Seed">Of the random choice.</param>
/// <param name="Stop">Text that ends the generation and is not sent.</param>
/// <param name="IgnoreEos">Go on where the model would end: for benchmarks, as in vLLM.</param>
/// <param name="Details">The answer has each token with its log probability, and why the text ended.</param>
public sealed record GenerationRequest(string? Id, string Text, int MaxTokens, double Temperature, int TopK, double TopP, ulong Seed,
    IReadOnlyList<string> Stop, bool IgnoreEos = false, bool Details = false)
{
    private const int DefaultMaxTokens = 64;

    /// <summary>Reads <c>{id?, text_input, parameters?, parameters beside it}</c>; throws with field, value and what is expected.</summary>
    public static GenerationRequest Read(JsonElement body) => Read(body, [], (ulong)Random.Shared.NextInt64());

    /// <summary>Reads one that is part of something else.</summary>
    /// <param name="body">The request.</param>
    /// <param name="others">Keys of it that are not the generation's.</param>
    /// <param name="seed">Where none is given.</param>
    public static GenerationRequest Read(JsonElement body, IReadOnlyList<string> others, ulong seed)
    {
        if (body.ValueKind != JsonValueKind.Object) throw new InvalidRequestException("the request body must be a JSON object");
        if (!body.TryGetProperty("text_input", out var text))
            throw new InvalidRequestException("unexpected key not found in generate request, expecting key 'text_input'"
                + (body.TryGetProperty("input", out _) && !others.Contains("model") ? $"; {InferRequestReader.JobHint}" : ""));
        if (text.ValueKind != JsonValueKind.String) throw GenerationParameters.Wrong("text_input", text, "a string");
        var parameters = new GenerationParameters(body, others);
        return new GenerationRequest(
            body.TryGetProperty("id", out var id) && id.ToString() is { Length: > 0 } name ? name : null,
            text.GetString()!,
            (int)parameters.Whole("max_tokens", 1, int.MaxValue, DefaultMaxTokens),
            parameters.Number("temperature", 0, 10, 1),
            parameters.Count("top_k"),
            parameters.Number("top_p", 0, 1, 1),
            parameters.Whole("seed", 0, ulong.MaxValue, seed),
            parameters.Stops("stop"),
            parameters.Flag("ignore_eos"),
            parameters.Flag("details"));
    }
}
