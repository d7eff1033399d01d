using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Http;

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
        AdminOnly.RequireAdmin(context, "change the settings of a worker");
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
