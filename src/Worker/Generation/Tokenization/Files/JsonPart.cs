using System.Text.Json;

namespace Sluice.Worker.Generation.Tokenization.Files;

/// <summary>A value of a tokenizer file, with the path that error messages name.</summary>
/// <param name="Value">The value.</param>
/// <param name="Path">File and fields, such as <c>tokenizer.json: pre_tokenizer.pretokenizers[0]</c>.</param>
internal readonly record struct JsonPart(JsonElement Value, string Path)
{
    /// <summary>The field <c>type</c>, which selects an element.</summary>
    public string Type => Text("type");

    /// <summary>Returns a field, or null if it is missing or null.</summary>
    public JsonPart? Find(string name) =>
        Value.ValueKind == JsonValueKind.Object
        && Value.TryGetProperty(name, out var field)
        && field.ValueKind != JsonValueKind.Null
            ? new JsonPart(field, Path.EndsWith(':') ? $"{Path} {name}" : $"{Path}.{name}")
            : null;

    /// <summary>Returns a field.</summary>
    /// <exception cref="TokenizerFileException">The field is missing.</exception>
    public JsonPart Get(string name) =>
        Find(name) ?? throw new TokenizerFileException($"{Path} has no field '{name}'");

    /// <summary>Returns a field of text.</summary>
    public string Text(string name) => Get(name).AsText();

    /// <summary>Returns a field of text, or the default if it is missing.</summary>
    public string? Text(string name, string? defaultValue) => Find(name) is { } part ? part.AsText() : defaultValue;

    /// <summary>Returns a field that is true or false, or the default if it is missing.</summary>
    public bool Flag(string name, bool defaultValue) => Find(name) switch
    {
        null => defaultValue,
        { Value.ValueKind: JsonValueKind.True } => true,
        { Value.ValueKind: JsonValueKind.False } => false,
        { } other => throw other.Unexpected("true or false"),
    };

    /// <summary>Returns a field that is a count, or the default if it is missing.</summary>
    public int Number(string name, int defaultValue) => Find(name) is { } part ? part.AsNumber() : defaultValue;

    /// <summary>Returns the values of a list, or nothing if the field is missing.</summary>
    public IEnumerable<JsonPart> List(string name)
    {
        if (Find(name) is not { } list) return [];
        return list.Value.ValueKind == JsonValueKind.Array
            ? list.Value.EnumerateArray().Select((item, i) => new JsonPart(item, $"{list.Path}[{i}]"))
            : throw list.Unexpected("a list");
    }

    /// <summary>Returns this value as text.</summary>
    public string AsText()
    {
        if (Value.ValueKind != JsonValueKind.String) throw Unexpected("text");
        try
        {
            return Value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new TokenizerFileException($"{Path} is not valid Unicode", e);
        }
    }

    /// <summary>Returns this value as a number of at least 0.</summary>
    public int AsNumber() =>
        Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var number) && number >= 0
            ? number
            : throw Unexpected("a whole number of at least 0");

    /// <summary>Returns the error for an element that is not supported.</summary>
    public TokenizerFileException Unsupported(string supported) => new(
        $"{Path}.type is '{Type}'; supported: {supported}");

    /// <summary>Returns the error for a value that is not as expected.</summary>
    public TokenizerFileException Unexpected(string expected)
    {
        var raw = Value.GetRawText();
        return new TokenizerFileException($"{Path} is {(raw.Length > 80 ? raw[..80] + "..." : raw)}; "
            + $"expected {expected}");
    }
}
