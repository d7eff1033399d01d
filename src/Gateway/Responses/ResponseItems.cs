using System.Globalization;
using System.Text.Json.Nodes;

namespace Sluice.Gateway.Responses;

/// <summary>Reads the items of a conversation, and translates them to messages of chat completions. Pure.</summary>
internal static class ResponseItems
{
    private const string TextOnly = "'input_text' or 'output_text' with a text, or 'refusal': images, audio and files "
        + "are not supported";

    /// <summary>
    /// Returns the input as complete items: each has a type and, if it is a message, a list of parts.
    /// </summary>
    /// <param name="input">A text, which is one message of the user, or a list of items.</param>
    /// <exception cref="ResponseFaultException">An item is not valid, or cannot be served.</exception>
    public static JsonArray Read(JsonNode? input)
    {
        if (ResponseJson.Text(input) is { } text) return [Message("user", text)];
        if (input is not JsonArray { Count: > 0 } items)
            throw ResponseRequest.Fault("input", input, "a text, or a list of items");
        var read = new JsonArray();
        for (var i = 0; i < items.Count; i++)
        {
            if (items[i] is not JsonObject item) throw ResponseRequest.Fault($"input[{i}]", items[i], "an object");
            var copy = (JsonObject)item.DeepClone();
            copy["type"] ??= "message";
            Check(copy, $"input[{i}]");
            if (ResponseJson.Text(copy["role"]) is { } role && ResponseJson.Text(copy["content"]) is { } content)
                copy["content"] = Message(role, content)["content"]!.DeepClone();
            read.Add(copy);
        }

        return read;
    }

    /// <summary>Gives ids to the items that have none. They follow from the response and the position.</summary>
    /// <param name="items">The items, which are changed.</param>
    /// <param name="responseId">The id of the response.</param>
    public static void AddIds(JsonArray items, string responseId)
    {
        for (var i = 0; i < items.Count; i++)
        {
            var item = (JsonObject)items[i]!;
            var prefix = ResponseJson.Text(item["type"]) switch
            {
                "message" => "msg",
                "function_call" => "fc",
                "function_call_output" => "fco",
                _ => "rs",
            };
            if (ResponseJson.Text(item["id"]) is not { Length: > 0 })
                item["id"] = string.Create(CultureInfo.InvariantCulture,
                    $"{prefix}_{responseId["resp_".Length..]}_in{i}");
            item["status"] ??= "completed";
        }
    }

    /// <summary>Returns the messages of items that <see cref="Read"/> returned, or that a response had.</summary>
    public static JsonArray ToMessages(IEnumerable<JsonNode> items)
    {
        var messages = new JsonArray();
        foreach (var item in items.OfType<JsonObject>())
        {
            switch (ResponseJson.Text(item["type"]))
            {
                case "message":
                    messages.Add(new JsonObject
                    {
                        ["role"] = ResponseJson.Text(item["role"]),
                        ["content"] = ContentOf(item["content"]),
                    });
                    break;
                case "function_call":
                    AddCall(messages, item);
                    break;
                case "function_call_output":
                    messages.Add(new JsonObject
                    {
                        ["role"] = "tool",
                        ["tool_call_id"] = item["call_id"]?.DeepClone(),
                        ["content"] = ContentOf(item["output"]),
                    });
                    break;
            }
        }

        return messages;
    }

    private static JsonObject Message(string role, string text) => new()
    {
        ["type"] = "message",
        ["role"] = role,
        ["content"] = new JsonArray(new JsonObject
        {
            ["type"] = role == "assistant" ? "output_text" : "input_text",
            ["text"] = text,
        }),
    };

    private static void Check(JsonObject item, string path)
    {
        switch (ResponseJson.Text(item["type"]))
        {
            case "message":
                if (ResponseJson.Text(item["role"]) is not ("user" or "assistant" or "system" or "developer"))
                    throw ResponseRequest.Fault($"{path}.role", item["role"],
                        "'user', 'assistant', 'system' or 'developer'");
                CheckContent(item["content"], $"{path}.content");
                return;
            case "function_call":
                foreach (var name in new[] { "call_id", "name", "arguments" }) RequireText(item, name, path);
                return;
            case "function_call_output":
                RequireText(item, "call_id", path);
                CheckContent(item["output"], $"{path}.output");
                return;
            // The reasoning of a model is not part of the next prompt.
            case "reasoning":
                return;
            default:
                throw ResponseRequest.Fault($"{path}.type", item["type"],
                    "'message', 'function_call', 'function_call_output' or 'reasoning'");
        }
    }

    private static void RequireText(JsonObject item, string name, string path)
    {
        if (ResponseJson.Text(item[name]) is null) throw ResponseRequest.Fault($"{path}.{name}", item[name], "a text");
    }

    private static void CheckContent(JsonNode? content, string path)
    {
        if (ResponseJson.Text(content) is not null) return;
        if (content is not JsonArray parts) throw ResponseRequest.Fault(path, content, "a text, or a list of parts");
        for (var i = 0; i < parts.Count; i++)
        {
            var type = ResponseJson.Text(ResponseJson.Field(parts[i], "type"));
            var isText = type is "input_text" or "output_text" or "text"
                ? ResponseJson.Text(parts[i]!["text"]) is not null
                : type == "refusal" && ResponseJson.Text(parts[i]!["refusal"]) is not null;
            if (!isText) throw ResponseRequest.Fault($"{path}[{i}]", parts[i], TextOnly);
        }
    }

    /// <summary>Returns the content of a message as one text, which all chat templates accept.</summary>
    private static JsonNode? ContentOf(JsonNode? content) =>
        content is JsonArray parts ? string.Concat(parts.Select(TextOf)) : content?.DeepClone();

    private static string TextOf(JsonNode? part) => ResponseJson.Text(ResponseJson.Field(part, "text"))
        ?? ResponseJson.Text(ResponseJson.Field(part, "refusal")) ?? "";

    /// <summary>Adds a call to the message of the assistant before it: calls of one turn are one message.</summary>
    private static void AddCall(JsonArray messages, JsonObject item)
    {
        var call = new JsonObject
        {
            ["id"] = item["call_id"]?.DeepClone(),
            ["type"] = "function",
            ["function"] = new JsonObject
            {
                ["name"] = item["name"]?.DeepClone(),
                ["arguments"] = item["arguments"]?.DeepClone(),
            },
        };
        if (messages is not [.., JsonObject last] || ResponseJson.Text(last["role"]) != "assistant")
        {
            last = new JsonObject { ["role"] = "assistant", ["content"] = null };
            messages.Add(last);
        }

        if (last["tool_calls"] is not JsonArray calls) last["tool_calls"] = calls = [];
        calls.Add(call);
    }
}
