using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Reads and writes the JSON of responses. Clients and workers may send any JSON, so reads never throw.
/// </summary>
internal static class ResponseJson
{
    /// <summary>Maximum nesting depth, as for jobs.</summary>
    private const int MaxDepth = 512;

    private static readonly JsonDocumentOptions Reading = new()
    {
        MaxDepth = MaxDepth,
        // An object with a name twice has no defined value, and JsonObject throws when it is used.
        AllowDuplicateProperties = false,
    };

    // The text is never interpreted as HTML. Without this, each letter that is not ASCII has six bytes.
    private static readonly JsonSerializerOptions Writing = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth + 16,
    };

    /// <summary>Parses JSON. Null: it is not a valid JSON object.</summary>
    /// <param name="json">UTF-8. Invalid sequences become U+FFFD.</param>
    /// <param name="error">Why it is not valid.</param>
    public static JsonObject? Parse(byte[] json, out string error)
    {
        try
        {
            error = "it is not an object";
            if (JsonNode.Parse(Utf8Text.Repaired(json), null, Reading) is not JsonObject parsed) return null;
            // Strings with half a surrogate pair are only detected when they are read. They have no UTF-8 form.
            parsed.ToJsonString(Writing);
            return parsed;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            error = e.Message;
            return null;
        }
    }

    /// <summary>Returns the JSON text, on one line.</summary>
    public static string Write(JsonNode node) => node.ToJsonString(Writing);

    /// <summary>Returns the JSON text in UTF-8.</summary>
    public static byte[] WriteBytes(JsonNode node) => Encoding.UTF8.GetBytes(Write(node));

    /// <summary>Returns a string; null: the node is not one.</summary>
    public static string? Text(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    /// <summary>Returns a whole number; null: the node is not one.</summary>
    public static long? Number(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number
            && long.TryParse(value.ToJsonString(), out var number) ? number : null;

    /// <summary>Returns a field of an object; null: the node is no object, or the field is missing or null.</summary>
    public static JsonNode? Field(JsonNode? node, string name) =>
        node is JsonObject parent && parent.TryGetPropertyValue(name, out var value) ? value : null;
}
