using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Batches;

/// <summary>
/// A line of the input of a batch:
/// <c>{"custom_id": text, "method": "POST", "url": path, "body": {"model": text, ...}}</c>.
/// </summary>
/// <param name="Number">The line, from 1.</param>
/// <param name="CustomId">The id that the client gave; unique in the input.</param>
/// <param name="Model">The model of the body.</param>
/// <param name="Body">The body as JSON.</param>
public sealed record BatchLine(int Number, string CustomId, string Model, byte[] Body)
{
    /// <summary>The longest <c>custom_id</c> in characters.</summary>
    public const int MaxCustomId = 512;

    /// <summary>Reads a line. Null: <paramref name="error"/> says why it is not valid.</summary>
    /// <param name="json">The bytes of the line.</param>
    /// <param name="number">Its number, from 1.</param>
    /// <param name="url">The endpoint of the batch, which all lines must have.</param>
    /// <param name="error">The first invalid field.</param>
    public static BatchLine? Read(ReadOnlyMemory<byte> json, int number, string url, out BatchLineError? error)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 512 });
            return Read(document.RootElement, number, url, out error);
        }
        // A string that is not valid Unicode throws InvalidOperationException when it is read.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            error = new BatchLineError(number, "invalid_json_line", null,
                $"Line {number} is not a JSON object on one line: {e.Message}");
            return null;
        }
    }

    private static BatchLine? Read(JsonElement root, int number, string url, out BatchLineError? error)
    {
        error = null;
        if (root.ValueKind != JsonValueKind.Object)
        {
            error = new BatchLineError(number, "invalid_json_line", null,
                $"Line {number} is '{Shorten(root)}'; expected a JSON object.");
            return null;
        }

        var id = Text(root, "custom_id");
        if (id is not { Length: > 0 and <= MaxCustomId })
            error = Invalid("custom_id", Find(root, "custom_id"), $"a text of 1 to {MaxCustomId} characters");
        else if (Text(root, "method") != "POST") error = Invalid("method", Find(root, "method"), "POST");
        else if (Text(root, "url") != url)
            error = Invalid("url", Find(root, "url"), $"{url}, the endpoint of the batch");
        if (error is not null) return null;
        if (Find(root, "body") is not { ValueKind: JsonValueKind.Object } body)
            error = Invalid("body", Find(root, "body"), "an object: the body of the request");
        else if (Text(body, "model") is not { Length: > 0 } model)
            error = Invalid("body.model", Find(body, "model"), "the name of a model");
        else if (Find(body, "stream") is { ValueKind: not (JsonValueKind.False or JsonValueKind.Null) } stream)
            error = Invalid("body.stream", stream, "false: a batch has no streams");
        else return new BatchLine(number, id!, model, JsonMarshal.GetRawUtf8Value(body).ToArray());
        return null;

        BatchLineError Invalid(string field, JsonElement? value, string expected) => new(number, "invalid_request",
            field,
            $"Line {number}: '{field}' is {(value is { } v ? $"'{Shorten(v)}'" : "missing")}; expected {expected}.");
    }

    private static JsonElement? Find(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) ? value : null;

    private static string? Text(JsonElement element, string name) =>
        Find(element, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private static string Shorten(JsonElement value) => QuotedText.Shorten(
        value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText(), QuotedText.MostJson);
}
