using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Worker.Generation.Chat.Jinja;

namespace Sluice.Worker.Generation.Chat;

/// <summary>
/// Checks the messages of a caller, and converts them to the forms that a template accepts.
/// </summary>
/// <param name="capabilities">The forms.</param>
/// <param name="hasDeveloperRole">Whether the template has the role <c>developer</c>.</param>
internal sealed class MessageForms(TemplateCapabilities capabilities, bool hasDeveloperRole)
{
    /// <summary>Maximum number of characters of a value in an error.</summary>
    private const int MaxShown = 60;

    private static readonly string[] Roles = ["system", "developer", "user", "assistant", "tool", "function"];

    /// <summary>Returns the messages in the forms of the template.</summary>
    /// <exception cref="TemplateException">A message does not have the form of OpenAI's API.</exception>
    public JsonElement Convert(JsonElement messages)
    {
        if (messages.ValueKind != JsonValueKind.Array) throw Wrong("messages", messages, "a list of messages");
        var result = new JsonArray();
        foreach (var message in messages.EnumerateArray())
        {
            var path = $"messages[{result.Count}]";
            try
            {
                result.Add(ConvertMessage(message, path));
            }
            catch (ArgumentException)
            {
                throw Wrong(path, message, "an object without repeated names");
            }
        }

        return JsonSerializer.SerializeToElement((JsonNode)result, JsonNodeContext.Default.JsonNode);
    }

    private JsonObject ConvertMessage(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object) throw Wrong(path, element, "an object");
        var message = JsonObject.Create(element)!;
        // The template may make a special token of a role, so a role is never free text.
        if (!element.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String ||
            !Roles.Contains(role.GetString()))
            throw Wrong($"{path}.role", role, $"one of {string.Join(", ", Roles)}");
        if (role.ValueEquals("developer") && !hasDeveloperRole) message["role"] = "system";
        var hasCalls = element.TryGetProperty("tool_calls", out var calls) && calls.ValueKind != JsonValueKind.Null;
        if (hasCalls) message["tool_calls"] = ConvertCalls(calls, $"{path}.tool_calls");
        else message.Remove("tool_calls");
        message["content"] = ConvertContent(element, hasCalls, $"{path}.content");
        return message;
    }

    private JsonNode? ConvertContent(JsonElement message, bool hasCalls, string path)
    {
        message.TryGetProperty("content", out var content);
        switch (content.ValueKind)
        {
            case JsonValueKind.Undefined or JsonValueKind.Null:
                if (!hasCalls) throw Wrong(path, content, "a string or a list of parts");
                return capabilities.HasNullContent ? null : "";
            case JsonValueKind.String:
                var text = content.GetString()!;
                if (capabilities.HasTextContent || !capabilities.HasContentParts) return text;
                return new JsonArray(new JsonObject { ["type"] = "text", ["text"] = text });
            case JsonValueKind.Array:
                CheckParts(content, path);
                if (capabilities.HasContentParts) return JsonArray.Create(content);
                return string.Join('\n', content.EnumerateArray().Select(p => p.GetProperty("text").GetString()));
            default:
                throw Wrong(path, content, "a string or a list of parts");
        }
    }

    private static void CheckParts(JsonElement parts, string path)
    {
        var i = 0;
        foreach (var part in parts.EnumerateArray())
        {
            if (part.ValueKind != JsonValueKind.Object || !part.TryGetProperty("type", out var type) ||
                type.ValueKind != JsonValueKind.String || !type.ValueEquals("text") ||
                !part.TryGetProperty("text", out var text) || text.ValueKind != JsonValueKind.String)
                throw Wrong($"{path}[{i}]", part, "a part with the type 'text' and a text");
            i++;
        }
    }

    private JsonArray ConvertCalls(JsonElement calls, string path)
    {
        if (calls.ValueKind != JsonValueKind.Array) throw Wrong(path, calls, "a list of tool calls");
        var result = new JsonArray();
        foreach (var element in calls.EnumerateArray())
        {
            var at = $"{path}[{result.Count}].function";
            var function = default(JsonElement);
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty("function", out function) ||
                function.ValueKind != JsonValueKind.Object)
                throw Wrong(at, function, "an object");
            if (!function.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String)
                throw Wrong($"{at}.name", name, "a string");
            var call = JsonObject.Create(element)!;
            function.TryGetProperty("arguments", out var arguments);
            call["function"]!["arguments"] = ConvertArguments(arguments, $"{at}.arguments");
            result.Add(call);
        }

        return result;
    }

    private JsonNode? ConvertArguments(JsonElement arguments, string path)
    {
        try
        {
            var given = arguments.ValueKind switch
            {
                JsonValueKind.Object => JsonObject.Create(arguments),
                JsonValueKind.String when arguments.GetString() is { Length: > 0 } text => JsonNode.Parse(text),
                JsonValueKind.String or JsonValueKind.Undefined or JsonValueKind.Null => new JsonObject(),
                _ => null,
            };
            if (given is not JsonObject values) throw Wrong(path, arguments, "a JSON object as a string");
            if (capabilities.HasObjectArguments) return values;
            return arguments.ValueKind == JsonValueKind.String ? arguments.GetString() : values.ToJsonString();
        }
        catch (JsonException)
        {
            throw Wrong(path, arguments, "a JSON object as a string");
        }
    }

    /// <summary>Names a field, its value, which is truncated, and what is expected.</summary>
    private static TemplateException Wrong(string path, JsonElement value, string expected)
    {
        if (value.ValueKind == JsonValueKind.Undefined)
            return TemplateException.Evaluation($"{path} is missing; expected {expected}.");
        var text = value.GetRawText();
        if (text.Length > MaxShown) text = text[..(MaxShown - 3)] + "...";
        return TemplateException.Evaluation($"{path} is '{text}'; expected {expected}.");
    }
}
