using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// Reads the fields of a request. Null means that a field is not set, because clients send fields that they do not use
/// with this value. Unknown fields are ignored, as OpenAI's servers ignore them.
/// </summary>
/// <param name="body">The request, a JSON object.</param>
/// <param name="prefix">Path of the object in the request, with a point at its end; empty for the request.</param>
internal readonly struct RequestFields(JsonElement body, string prefix = "")
{
    private const int MaxStops = 16, MaxStopLength = 256;

    /// <summary>Returns a field, or null if it is missing.</summary>
    public JsonElement? Find(string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Reads a required text.</summary>
    public string RequiredText(string name) => Text(name)
        ?? throw new OpenAiException($"'{prefix}{name}' is missing; expected a string.", prefix + name);

    /// <summary>Reads a text. Returns null if it is missing.</summary>
    public string? Text(string name) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Invalid(name, value, "a string");

    /// <summary>Reads a boolean. Returns the default if it is missing.</summary>
    public bool Flag(string name, bool defaultValue = false) => Find(name) is not { } value
        ? defaultValue
        : value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Invalid(name, value, "true or false"),
        };

    /// <summary>Reads a number. Returns null if it is missing.</summary>
    public double? Number(string name, double least, double most) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var n) && n >= least && n <= most
            ? n
            : throw Invalid(name, value, string.Create(
                CultureInfo.InvariantCulture, $"a number from {least} to {most}"));

    /// <summary>Reads a whole number. Returns null if it is missing.</summary>
    public long? Integer(string name, long least, long most) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var n) && n >= least && n <= most
            ? n
            : throw Invalid(name, value, $"a whole number from {least} to {most}");

    /// <summary>Reads an object. Returns null if it is missing.</summary>
    public RequestFields? Object(string name) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Object
            ? new RequestFields(value, $"{prefix}{name}.")
            : throw Invalid(name, value, "an object");

    /// <summary>Returns all fields.</summary>
    public IReadOnlyDictionary<string, JsonElement> All()
    {
        var fields = new Dictionary<string, JsonElement>();
        foreach (var field in body.EnumerateObject()) fields[field.Name] = field.Value;
        return fields;
    }

    /// <summary>Reads the strings that end a text: one, or a list of them.</summary>
    public IReadOnlyList<string> Stops(string name)
    {
        if (Find(name) is not { } value) return [];
        var list = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : new[] { value };
        // The generated text is compared with each string after each token.
        return list.Length <= MaxStops
            && list.All(s => s.ValueKind == JsonValueKind.String && s.GetString()!.Length <= MaxStopLength)
            ? [.. list.Select(s => s.GetString()!).Where(s => s.Length > 0)]
            : throw Invalid(
                name, value, $"at most {MaxStops} strings of at most {MaxStopLength} characters");
    }

    /// <summary>Reads numbers that are added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias(string name)
    {
        if (Find(name) is not { } value) return ImmutableDictionary<int, float>.Empty;
        return Generation.LogitBias.Read(value) ?? throw Invalid(name, value, Generation.LogitBias.Expected);
    }

    /// <summary>The error for a wrong value. Long values are truncated.</summary>
    public OpenAiException Invalid(string name, JsonElement value, string expected)
    {
        var text = value.GetRawText();
        return new OpenAiException(
            $"'{prefix}{name}' is '{(text.Length > 60 ? text[..57] + "..." : text)}'; expected {expected}.",
            prefix + name);
    }
}
