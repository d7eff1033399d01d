using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Notation;

namespace Sluice.Gateway.Responses;

/// <summary>
/// A request of <c>/v1/responses</c>. Fields that the gateway does not know are ignored, as everywhere in OpenAI's API.
/// Fields that it knows and cannot serve are errors, because their effect would be missing without notice.
/// </summary>
internal sealed class ResponseRequest
{
    /// <summary>
    /// The only value of <c>include</c> that is accepted. It has no effect: reasoning is not part of the next prompt,
    /// so a client that sends it back loses nothing.
    /// </summary>
    private const string Encrypted = "reasoning.encrypted_content";

    /// <summary>Fields that are copied to the chat request as they are.</summary>
    private static readonly string[] Copied =
    [
        "temperature", "top_p", "top_k", "min_p", "user", "service_tier", "prompt_cache_key", "safety_identifier",
        "seed", "stop", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "priority",
        "cache_salt", "chat_template_kwargs", "min_tokens", "ignore_eos",
    ];

    /// <summary>Fields that change the answer, and that no worker can serve through chat completions.</summary>
    private static readonly string[] Unsupported =
        ["conversation", "prompt", "max_tool_calls", "context_management", "moderation", "top_logprobs"];

    private readonly JsonObject body;

    /// <summary>Reads a request.</summary>
    /// <param name="body">The body.</param>
    /// <exception cref="ResponseFaultException">A field is not valid, or cannot be served.</exception>
    public ResponseRequest(JsonObject body)
    {
        this.body = body;
        foreach (var name in Unsupported)
            if (body[name] is { } value) throw Fault(name, value, "no value: this field is not supported");
        if (body["include"] is { } include
            && (include is not JsonArray list || list.Any(i => ResponseJson.Text(i) != Encrypted)))
            throw Fault("include", include, $"no value, or ['{Encrypted}']: other values are not supported");
        if (body["truncation"] is { } truncation && ResponseJson.Text(truncation) != "disabled")
            throw Fault("truncation", truncation, "'disabled'");
        Model = ResponseJson.Text(body["model"]) is { Length: > 0 } model
            ? model : throw Fault("model", body["model"], "the name of a model");
        Input = ResponseItems.Read(body["input"]);
        Instructions = OptionalText("instructions", "a text");
        PreviousId = OptionalText("previous_response_id", "the id of a response");
        IsStored = Flag("store", true);
        IsStreamed = Flag("stream", false);
        IsBackground = Flag("background", false);
        if (IsBackground && !IsStored)
            throw Fault("store", body["store"], "true: a response in the background is stored");
        Metadata = ReadMetadata(body["metadata"]);
    }

    public string Model { get; }

    /// <summary>The items of the input. A text is one message of the user.</summary>
    public JsonArray Input { get; }

    public string? Instructions { get; }

    /// <summary>The id of the response whose conversation continues; null: none.</summary>
    public string? PreviousId { get; }

    public bool IsStored { get; }

    public bool IsStreamed { get; }

    public bool IsBackground { get; }

    /// <summary>Whether all other requests go first.</summary>
    public bool IsFlex => ResponseJson.Text(body["service_tier"]) == "flex";

    public JsonObject Metadata { get; }

    /// <summary>Returns the body of the chat request.</summary>
    /// <param name="earlier">The items of the conversation before this request.</param>
    /// <exception cref="ResponseFaultException">A field is not valid, or cannot be served.</exception>
    public JsonObject ToChat(IEnumerable<JsonNode> earlier)
    {
        var messages = ResponseItems.ToMessages([.. earlier, .. Input.Select(i => i!)]);
        if (Instructions is { } text)
            messages.Insert(0, new JsonObject { ["role"] = "system", ["content"] = text });
        var chat = new JsonObject { ["model"] = Model, ["messages"] = messages };
        foreach (var name in Copied)
            if (body[name] is { } value) chat[name] = value.DeepClone();
        if (body["max_output_tokens"] is { } limit) chat["max_completion_tokens"] = limit.DeepClone();
        if (ResponseJson.Field(body["reasoning"], "effort") is { } effort)
            chat["reasoning_effort"] = effort.DeepClone();
        AddTools(chat);
        AddFormat(chat);
        if (!IsStreamed) return chat;
        chat["stream"] = true;
        chat["stream_options"] = new JsonObject { ["include_usage"] = true };
        return chat;
    }

    /// <summary>Returns the fields of the request that a response repeats.</summary>
    public JsonObject Echo() => new()
    {
        ["background"] = IsBackground,
        ["instructions"] = Instructions,
        ["max_output_tokens"] = body["max_output_tokens"]?.DeepClone(),
        ["metadata"] = Metadata.DeepClone(),
        ["model"] = Model,
        ["parallel_tool_calls"] = body["parallel_tool_calls"]?.DeepClone() ?? true,
        ["previous_response_id"] = PreviousId,
        ["reasoning"] = body["reasoning"]?.DeepClone() ?? new JsonObject { ["effort"] = null, ["summary"] = null },
        ["store"] = IsStored,
        ["temperature"] = body["temperature"]?.DeepClone(),
        ["text"] = body["text"]?.DeepClone()
            ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
        ["tool_choice"] = body["tool_choice"]?.DeepClone() ?? "auto",
        ["tools"] = body["tools"]?.DeepClone() ?? new JsonArray(),
        ["top_p"] = body["top_p"]?.DeepClone(),
        ["truncation"] = "disabled",
    };

    internal static ResponseFaultException Fault(string param, JsonNode? value, string expected)
    {
        var text = QuotedText.Shorten(
            value is null ? "" : ResponseJson.Write(value).Trim('"'), QuotedText.MostJson);
        return new ResponseFaultException(param, value is null
            ? $"'{param}' is missing; expected {expected}." : $"'{param}' is '{text}'; expected {expected}.");
    }

    private string? OptionalText(string name, string expected) => body[name] is null ? null
        : ResponseJson.Text(body[name]) ?? throw Fault(name, body[name], expected);

    private bool Flag(string name, bool otherwise) => body[name] switch
    {
        null => otherwise,
        JsonValue value when value.GetValueKind() is JsonValueKind.True or JsonValueKind.False =>
            value.GetValueKind() == JsonValueKind.True,
        var value => throw Fault(name, value, "true or false"),
    };

    private static JsonObject ReadMetadata(JsonNode? node)
    {
        if (node is null) return [];
        if (node is JsonObject { Count: <= 16 } pairs
            && pairs.All(p => p.Key.Length <= 64 && ResponseJson.Text(p.Value) is { Length: <= 512 }))
            return (JsonObject)pairs.DeepClone();
        throw Fault("metadata", node,
            "an object of at most 16 texts, with names of at most 64 characters and values of at most 512");
    }

    private void AddTools(JsonObject chat)
    {
        if (body["tools"] is { } given and not JsonArray) throw Fault("tools", given, "a list of tools");
        if (body["tools"] is JsonArray { Count: > 0 } tools)
        {
            var functions = new JsonArray();
            for (var i = 0; i < tools.Count; i++) functions.Add(Function(tools[i], $"tools[{i}]"));
            chat["tools"] = functions;
            // Without tools, OpenAI's chat completions reject the field.
            if (body["parallel_tool_calls"] is { } parallel) chat["parallel_tool_calls"] = parallel.DeepClone();
        }

        if (body["tool_choice"] is not { } choice) return;
        if (chat["tools"] is null && ResponseJson.Text(choice) is "auto" or "none") return;
        chat["tool_choice"] = choice switch
        {
            JsonObject named when ResponseJson.Text(named["type"]) == "function" => new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = named["name"]?.DeepClone() },
            },
            _ when ResponseJson.Text(choice) is "none" or "auto" or "required" => choice.DeepClone(),
            _ => throw Fault("tool_choice", choice, "'none', 'auto', 'required', or a function with its name"),
        };
    }

    private static JsonObject Function(JsonNode? tool, string path)
    {
        if (ResponseJson.Text(ResponseJson.Field(tool, "type")) != "function")
            throw Fault($"{path}.type", ResponseJson.Field(tool, "type"), "'function': other tools are not supported");
        if (ResponseJson.Text(tool!["name"]) is null) throw Fault($"{path}.name", tool["name"], "a text");
        var function = new JsonObject();
        foreach (var name in new[] { "name", "description", "parameters", "strict" })
            if (tool[name] is { } value) function[name] = value.DeepClone();
        return new JsonObject { ["type"] = "function", ["function"] = function };
    }

    private void AddFormat(JsonObject chat)
    {
        if (ResponseJson.Field(body["text"], "verbosity") is { } verbosity) chat["verbosity"] = verbosity.DeepClone();
        if (ResponseJson.Field(body["text"], "format") is not { } format) return;
        switch (ResponseJson.Text(ResponseJson.Field(format, "type")))
        {
            case "text":
                return;
            case "json_object":
                chat["response_format"] = new JsonObject { ["type"] = "json_object" };
                return;
            case "json_schema":
                var schema = (JsonObject)format.DeepClone();
                schema.Remove("type");
                chat["response_format"] = new JsonObject { ["type"] = "json_schema", ["json_schema"] = schema };
                return;
            default:
                throw Fault("text.format.type", ResponseJson.Field(format, "type"),
                    "'text', 'json_object' or 'json_schema'");
        }
    }
}
