using System.Text.Json;

namespace Sluice.Worker.Generation.Settings;

/// <summary>An object of a configuration file, or nothing if the file or the object does not exist.</summary>
/// <param name="file">Name of the file, for errors.</param>
/// <param name="element">The object.</param>
internal readonly struct ConfigSection(string file, JsonElement? element)
{
    /// <summary>Whether the object exists.</summary>
    public bool Exists => element is { ValueKind: JsonValueKind.Object };

    /// <summary>Returns an object of this object.</summary>
    public ConfigSection Section(string name) => new(file, Find(name));

    /// <summary>Returns a text, or null if it is missing.</summary>
    public string? Text(string name) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Invalid(name, value, "a string");

    /// <summary>Returns a whole number, or null if it is missing.</summary>
    public int? Integer(string name) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw Invalid(name, value, "a whole number");

    /// <summary>Returns a number, or null if it is missing.</summary>
    public double? Number(string name) => Find(name) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw Invalid(name, value, "a number");

    private JsonElement? Find(string name) =>
        Exists && element!.Value.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    private InvalidDataException Invalid(string name, JsonElement value, string expected) =>
        new($"{file}: '{name}' is '{value.GetRawText()}'; expected {expected}");
}
