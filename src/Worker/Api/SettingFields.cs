using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>
/// Reads requests that change settings. Only admins may send them. An error names the field, its value and the expected
/// values.
/// </summary>
internal static class SettingFields
{
    /// <summary>Maximum size of a request that changes settings, in bytes.</summary>
    private const int MaxBytes = 64 << 10;

    /// <summary>
    /// Reads the body of an admin's request. Other callers are rejected: a key that may use a model may neither turn
    /// off nor fill the worker's log.
    /// </summary>
    public static async Task<JsonDocument> ReadAsync(HttpContext context)
    {
        AdminOnly.RequireAdmin(context, "The settings of a worker can be changed");
        using var body = await RequestBody.ReadAsync(context, MaxBytes);
        return body.Parse();
    }

    /// <summary>Returns the fields of a JSON object.</summary>
    public static IEnumerable<SettingField> Enumerate(JsonElement fields) => fields.ValueKind == JsonValueKind.Object
        ? fields.EnumerateObject().Select(f => new SettingField(f.Name, f.Value))
        : throw new InvalidRequestException($"The body is '{Truncate(fields)}'; expected a JSON object.");

    /// <summary>Returns the text of a value, at most 100 characters.</summary>
    internal static string Truncate(JsonElement value) =>
        value.GetRawText() is { Length: > 100 } text ? text[..100] + "..." : value.GetRawText();
}

/// <summary>One setting and its new value.</summary>
internal readonly record struct SettingField(string Name, JsonElement Value)
{
    /// <summary>Reads a boolean.</summary>
    public bool ReadBool() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw InvalidValue("true or false"),
    };

    /// <summary>
    /// Reads a number. A string that contains a number is accepted too, because Triton's clients send both.
    /// </summary>
    public int ReadNumber(int least, int most)
    {
        var text = Value.ValueKind switch
        {
            JsonValueKind.Number => Value.GetRawText(),
            JsonValueKind.String => Value.GetString()!,
            _ => "",
        };
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
            && n >= least
            && n <= most
            ? n
            : throw InvalidValue(
                string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));
    }

    /// <summary>Reads a string that must be one of the given values.</summary>
    public string ReadChoice(params string[] known)
    {
        var text = Value.ValueKind == JsonValueKind.String ? Value.GetString()! : "";
        return known.Contains(text) ? text : throw InvalidValue(string.Join(" or ", known));
    }

    /// <summary>The error for a wrong value.</summary>
    public InvalidRequestException InvalidValue(string expected) =>
        new($"'{Name}' is '{SettingFields.Truncate(Value)}'; expected {expected}.");

    /// <summary>The error for a setting that does not exist.</summary>
    public InvalidRequestException UnknownField(string known) =>
        new($"'{Name}' is not a setting; expected one of {known}.");
}
