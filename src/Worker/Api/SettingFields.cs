using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>A request that changes settings: who may send it, and its fields, each with errors that name it, its value and what would be right.</summary>
internal static class SettingFields
{
    /// <summary>Settings are small.</summary>
    private const int MaxBytes = 64 << 10;

    /// <summary>The fields of an admin's request. Whoever may ask a model may not silence its worker, nor fill its log.</summary>
    public static async Task<JsonDocument> ReadAsync(HttpContext context)
    {
        Admins.Demand(context, "a worker's settings are changed");
        using var body = await RequestBody.ReadAsync(context, MaxBytes);
        return body.Parse();
    }

    public static IEnumerable<SettingField> Of(JsonElement fields) => fields.ValueKind == JsonValueKind.Object
        ? fields.EnumerateObject().Select(f => new SettingField(f.Name, f.Value))
        : throw new InvalidRequestException($"the settings are {Short(fields)}, expected a JSON object");

    /// <summary>A value as it came, cut where it is long.</summary>
    internal static string Short(JsonElement value) => value.GetRawText() is { Length: > 100 } text ? text[..100] + "..." : value.GetRawText();
}

/// <summary>One setting that shall change.</summary>
internal readonly record struct SettingField(string Name, JsonElement Value)
{
    public bool Bool() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    /// <summary>A number, or a text that is one: Triton's clients send both.</summary>
    public int Number(int least, int most)
    {
        var text = Value.ValueKind switch
        {
            JsonValueKind.Number => Value.GetRawText(),
            JsonValueKind.String => Value.GetString()!,
            _ => "",
        };
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n) && n >= least && n <= most
            ? n : throw Wrong(string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));
    }

    public string Choice(params string[] known)
    {
        var text = Value.ValueKind == JsonValueKind.String ? Value.GetString()! : "";
        return known.Contains(text) ? text : throw Wrong(string.Join(" or ", known));
    }

    public InvalidRequestException Wrong(string expected) => new($"'{Name}' is {SettingFields.Short(Value)}, expected {expected}");

    public InvalidRequestException Unknown(string known) => new($"'{Name}' is no setting, expected one of {known}");
}
