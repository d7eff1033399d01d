using System.Text.Json;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>What text to make: the generate extension's request.</summary>
/// <param name="Id">Echoed.</param>
/// <param name="Text">The prompt.</param>
/// <param name="MaxTokens">Tokens to make at most, 1 or more.</param>
/// <param name="Temperature">0 takes the most likely token; up to 10.</param>
/// <param name="Seed">Of the random choice.</param>
/// <param name="Stop">Text that ends the generation and is not sent.</param>
/// <param name="IgnoreEos">Go on where the model would end: for benchmarks, as in vLLM.</param>
public sealed record GenerationRequest(string? Id, string Text, int MaxTokens, double Temperature, ulong Seed,
    IReadOnlyList<string> Stop, bool IgnoreEos = false)
{
    private const int DefaultMaxTokens = 64;
    private const int MaxStops = 16;
    private const int MaxStopLength = 256;

    private static readonly string[] Known = ["max_tokens", "temperature", "seed", "stop", "stream", "ignore_eos"];

    /// <summary>Reads <c>{id?, text_input, parameters?}</c>; throws with field, value and what is expected.</summary>
    public static GenerationRequest Read(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object) throw new InvalidRequestException("the request body must be a JSON object");
        if (!body.TryGetProperty("text_input", out var text))
            throw new InvalidRequestException("unexpected key not found in generate request, expecting key 'text_input'");
        if (text.ValueKind != JsonValueKind.String) throw Wrong("text_input", text, "a string");
        var parameters = default(JsonElement);
        if (body.TryGetProperty("parameters", out var given))
        {
            if (given.ValueKind != JsonValueKind.Object) throw Wrong("parameters", given, "an object");
            parameters = given;
            foreach (var p in given.EnumerateObject())
                if (!Known.Contains(p.Name))
                    throw new InvalidRequestException(
                        $"parameters.{p.Name} is not known, expected some of {string.Join(", ", Known)}");
        }

        return new GenerationRequest(
            body.TryGetProperty("id", out var id) ? id.ToString() : null,
            text.GetString()!,
            (int)Whole(parameters, "max_tokens", 1, int.MaxValue, DefaultMaxTokens),
            Number(parameters, "temperature", 0, 10, 1),
            Whole(parameters, "seed", 0, ulong.MaxValue, (ulong)Random.Shared.NextInt64()),
            Stops(parameters),
            Flag(parameters, "ignore_eos"));
    }

    private static bool TryGet(JsonElement parameters, string name, out JsonElement value)
    {
        value = default;
        return parameters.ValueKind == JsonValueKind.Object && parameters.TryGetProperty(name, out value)
            && value.ValueKind != JsonValueKind.Null;
    }

    private static ulong Whole(JsonElement parameters, string name, ulong least, ulong most, ulong otherwise)
    {
        if (!TryGet(parameters, name, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out var n) && n >= least && n <= most
            ? n : throw Wrong("parameters." + name, value, $"a whole number from {least} to {most}");
    }

    private static double Number(JsonElement parameters, string name, double least, double most, double otherwise)
    {
        if (!TryGet(parameters, name, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var n) && n >= least && n <= most
            ? n : throw Wrong("parameters." + name, value, $"a number from {least} to {most}");
    }

    private static bool Flag(JsonElement parameters, string name)
    {
        if (!TryGet(parameters, name, out var value)) return false;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean() : throw Wrong("parameters." + name, value, "true or false");
    }

    private static IReadOnlyList<string> Stops(JsonElement parameters)
    {
        if (!TryGet(parameters, "stop", out var value)) return [];
        var list = value.ValueKind switch
        {
            JsonValueKind.String => [value],
            JsonValueKind.Array => value.EnumerateArray().ToArray(),
            _ => throw Wrong("parameters.stop", value, "a string or a list of strings"),
        };
        var fits = list.Length <= MaxStops && list.All(s => s.ValueKind == JsonValueKind.String
            && s.GetString()!.Length is > 0 and <= MaxStopLength);
        return fits ? [.. list.Select(s => s.GetString()!)] : throw Wrong("parameters.stop", value,
            $"at most {MaxStops} strings of 1 to {MaxStopLength} characters");
    }

    private static InvalidRequestException Wrong(string field, JsonElement value, string expected)
    {
        var text = value.GetRawText();
        return new InvalidRequestException(
            $"{field} is {(text.Length > 60 ? text[..57] + "..." : text)}, expected {expected}");
    }
}
