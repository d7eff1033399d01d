using System.Collections.Immutable;
using System.Text.Json;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Reads the parameters of a generation. A parameter is either a field of <c>parameters</c> or, as clients of Triton
/// and TensorRT-LLM send it, a field of the request itself. An unknown parameter is rejected if it has a value; an
/// empty one is ignored, because these clients always send <c>"bad_words":""</c>.
/// </summary>
internal sealed class GenerationParameters
{
    private const int MaxStops = 16;
    private const int MaxStopLength = 256;

    private static readonly string[] Known =
    [
        "max_tokens", "temperature", "top_k", "top_p", "seed", "stop", "stream", "ignore_eos", "details",
        "min_tokens", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias",
        "priority", "timeout",
    ];

    private static readonly string[] Keys = ["id", "text_input", "parameters"];

    private readonly Dictionary<string, (string Field, JsonElement Value)> given = [];

    /// <summary>Collects the parameters of a request.</summary>
    /// <param name="body">The request, a JSON object.</param>
    /// <param name="others">Keys of the request that are not parameters.</param>
    /// <exception cref="InvalidRequestException">A parameter is unknown, or is specified twice.</exception>
    public GenerationParameters(JsonElement body, IReadOnlyList<string> others)
    {
        foreach (var key in body.EnumerateObject())
            if (!Keys.Contains(key.Name) && !others.Contains(key.Name)) Add(key, key.Name);
        if (!body.TryGetProperty("parameters", out var parameters)) return;
        if (parameters.ValueKind != JsonValueKind.Object) throw InvalidValue("parameters", parameters, "an object");
        foreach (var parameter in parameters.EnumerateObject())
        {
            if (given.TryGetValue(parameter.Name, out var outer) && outer.Field == parameter.Name)
                throw new InvalidRequestException(
                    $"'{parameter.Name}' is specified twice: in 'parameters' and as a field of the request; "
                    + "expected one of them.");
            Add(parameter, "parameters." + parameter.Name);
        }
    }

    /// <summary>Reads a whole number. Returns the default if the parameter is missing.</summary>
    public ulong ReadInteger(string name, ulong least, ulong most, ulong defaultValue)
    {
        if (!TryGet(name, out var field, out var value)) return defaultValue;
        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out var n) && n >= least && n <= most
            ? n
            : throw InvalidValue(field, value, $"a whole number from {least} to {most}");
    }

    /// <summary>Reads a limit. 0 means no limit, and so does -1, which vLLM's clients send.</summary>
    public int ReadLimit(string name)
    {
        if (!TryGet(name, out var field, out var value)) return 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n) && n >= -1
            ? Math.Max(0, n)
            : throw InvalidValue(field, value, $"a whole number from 1 to {int.MaxValue}, or 0 for all");
    }

    /// <summary>Reads a number. Returns the default if the parameter is missing.</summary>
    public double ReadNumber(string name, double least, double most, double defaultValue)
    {
        if (!TryGet(name, out var field, out var value)) return defaultValue;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var n) && n >= least && n <= most
            ? n
            : throw InvalidValue(field, value, $"a number from {least} to {most}");
    }

    /// <summary>Reads a boolean. Returns false if the parameter is missing.</summary>
    public bool ReadFlag(string name)
    {
        if (!TryGet(name, out var field, out var value)) return false;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw InvalidValue(field, value, "true or false");
    }

    /// <summary>Reads a string or a list of strings. Returns an empty list if the parameter is missing.</summary>
    public IReadOnlyList<string> ReadStrings(string name)
    {
        if (!TryGet(name, out var field, out var value)) return [];
        var list = value.ValueKind switch
        {
            JsonValueKind.String => [value],
            JsonValueKind.Array => value.EnumerateArray().ToArray(),
            _ => throw InvalidValue(field, value, "a string or a list of strings"),
        };
        var isValid = list.Length <= MaxStops && list.All(s => s.ValueKind == JsonValueKind.String
            && s.GetString()!.Length is > 0 and <= MaxStopLength);
        return isValid
            ? [.. list.Select(s => s.GetString()!)]
            : throw InvalidValue(field, value, $"at most {MaxStops} strings of 1 to {MaxStopLength} characters");
    }

    /// <summary>
    /// Reads an object with token ids as keys and numbers from -100 to 100. Returns an empty one if it is missing.
    /// </summary>
    public IReadOnlyDictionary<int, float> ReadLogitBias(string name)
    {
        if (!TryGet(name, out var field, out var value)) return ImmutableDictionary<int, float>.Empty;
        return LogitBias.Read(value) ?? throw InvalidValue(field, value, LogitBias.Expected);
    }

    /// <summary>The error for a wrong value. Long values are truncated.</summary>
    public static InvalidRequestException InvalidValue(string field, JsonElement value, string expected)
    {
        var text = value.GetRawText();
        return new InvalidRequestException(
            $"'{field}' is '{(text.Length > 60 ? text[..57] + "..." : text)}'; expected {expected}.");
    }

    private void Add(JsonProperty parameter, string field)
    {
        if (Known.Contains(parameter.Name))
            given[parameter.Name] = (field, parameter.Value);
        else if (!IsEmpty(parameter.Value))
            throw new InvalidRequestException(
                $"'{field}' is not a known parameter; expected some of {string.Join(", ", Known)}.");
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => true,
        JsonValueKind.String => value.ValueEquals(""u8),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };

    private bool TryGet(string name, out string field, out JsonElement value)
    {
        var found = given.TryGetValue(name, out var parameter);
        (field, value) = parameter;
        return found && value.ValueKind != JsonValueKind.Null;
    }
}
