using System.Text;
using System.Text.Json.Nodes;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Turns a chat completion, whole or in chunks, into the events and the object of a response. Pure: the same chunks
/// give the same events, ids and sequence numbers included, so every gateway can repeat a stream from a log of chunks.
/// </summary>
/// <param name="id">The id of the response, <c>resp_</c> and hexadecimal digits.</param>
/// <param name="created">When it was created, in Unix seconds.</param>
/// <param name="echo">The fields of the request that the response repeats.</param>
internal sealed class ResponseAssembler(string id, long created, JsonObject echo)
{
    private readonly List<JsonObject> output = [];
    private readonly List<JsonObject> events = [];
    private readonly HashSet<long> closedCalls = [];
    private readonly StringBuilder text = new();
    private JsonObject? open;
    private long openCall = -1;
    private string status = "in_progress";
    private string? finish;
    private JsonObject? usage;
    private JsonObject? error;
    private int sequence;

    /// <summary>Whether the last event was returned.</summary>
    public bool IsEnded => status is not ("queued" or "in_progress");

    /// <summary>Whether <see cref="Start"/> was called.</summary>
    public bool IsStarted { get; private set; }

    /// <summary>Returns the first events of a response that waits.</summary>
    public IReadOnlyList<JsonObject> Queue()
    {
        status = "queued";
        EmitResponse("response.created");
        EmitResponse("response.queued");
        return Flush();
    }

    /// <summary>Returns the events that precede the output.</summary>
    public IReadOnlyList<JsonObject> Start()
    {
        IsStarted = true;
        status = "in_progress";
        if (sequence == 0) EmitResponse("response.created");
        EmitResponse("response.in_progress");
        return Flush();
    }

    /// <summary>
    /// Returns an event that keeps a stream open. Idle timers of some clients ignore comments (opencode#43618).
    /// </summary>
    public IReadOnlyList<JsonObject> KeepAlive()
    {
        if (!IsStarted) return Start();
        if (!IsEnded) EmitResponse("response.in_progress");
        return Flush();
    }

    /// <summary>Returns the events of a chunk of a chat completion, or of a whole one.</summary>
    public IReadOnlyList<JsonObject> Add(JsonObject chunk)
    {
        if (IsEnded) return [];
        if (chunk["error"] is { } failure)
            return Fail(ResponseJson.Text(ResponseJson.Field(failure, "code")),
                ResponseJson.Text(ResponseJson.Field(failure, "message")) ?? ResponseJson.Text(failure)
                ?? "The worker reported an error.");
        if (chunk["usage"] is JsonObject counts) usage = counts;
        if (chunk["choices"] is not JsonArray { Count: > 0 } choices || choices[0] is not JsonObject choice)
            return Flush();
        var delta = choice["delta"] as JsonObject ?? choice["message"] as JsonObject ?? [];
        // vLLM's name of the field is 'reasoning_content' in earlier versions, and 'reasoning' in later ones.
        Append("reasoning", delta["reasoning_content"] ?? delta["reasoning"]);
        Append("message", delta["content"]);
        if (delta["tool_calls"] is JsonArray calls)
            for (var i = 0; i < calls.Count && !IsEnded; i++)
                if (calls[i] is JsonObject call) AddCall(call, ResponseJson.Number(call["index"]) ?? i);
        finish = ResponseJson.Text(choice["finish_reason"]) ?? finish;
        return Flush();
    }

    /// <summary>
    /// Returns the last events. A stream without a finish reason was cut, so the response has failed.
    /// </summary>
    public IReadOnlyList<JsonObject> End()
    {
        if (IsEnded) return Flush();
        if (finish is null) return Fail(null, "The answer of the worker ended before it was complete.");
        var isIncomplete = finish is "length" or "content_filter";
        EndAs(isIncomplete ? "incomplete" : "completed", isIncomplete ? "incomplete" : "completed");
        return Flush();
    }

    /// <summary>Returns the last events of a response that failed.</summary>
    /// <param name="code">The code of the error; null: <c>server_error</c>.</param>
    /// <param name="message">The error text.</param>
    public IReadOnlyList<JsonObject> Fail(string? code, string message)
    {
        if (!IsEnded) EndFailed(code, message);
        return Flush();
    }

    /// <summary>
    /// Returns the last events of a cancelled response. The API has no event for it; <c>response.incomplete</c> ends a
    /// stream in all clients, and the status in it is <c>cancelled</c>.
    /// </summary>
    public IReadOnlyList<JsonObject> Cancel()
    {
        if (!IsEnded) EndAs("cancelled", "incomplete");
        return Flush();
    }

    /// <summary>Returns the response as it is now.</summary>
    public JsonObject ToObject()
    {
        var items = new JsonArray();
        foreach (var item in output) items.Add(item.DeepClone());
        var response = new JsonObject
        {
            ["id"] = id,
            ["object"] = "response",
            ["created_at"] = created,
            ["status"] = status,
            ["error"] = error?.DeepClone(),
            ["incomplete_details"] = status != "incomplete" ? null : new JsonObject
            {
                ["reason"] = finish == "length" ? "max_output_tokens" : "content_filter",
            },
            ["output"] = items,
            ["usage"] = Usage(),
        };
        foreach (var (name, value) in echo) response[name] = value?.DeepClone();
        return response;
    }

    private void EndFailed(string? code, string message)
    {
        error = new JsonObject { ["code"] = code ?? "server_error", ["message"] = message };
        EndAs("failed", "failed");
    }

    private void EndAs(string to, string eventName)
    {
        Close(to == "completed" ? "completed" : "incomplete");
        status = to;
        EmitResponse("response." + eventName);
    }

    private JsonObject? Usage()
    {
        if (usage is null) return null;
        var (input, generated) = (Count(usage, "prompt_tokens"), Count(usage, "completion_tokens"));
        return new JsonObject
        {
            ["input_tokens"] = input,
            ["input_tokens_details"] = new JsonObject
            {
                ["cached_tokens"] = Count(usage["prompt_tokens_details"], "cached_tokens"),
            },
            ["output_tokens"] = generated,
            ["output_tokens_details"] = new JsonObject
            {
                ["reasoning_tokens"] = Count(usage["completion_tokens_details"], "reasoning_tokens"),
            },
            ["total_tokens"] = input + generated,
        };
    }

    private static long Count(JsonNode? counts, string name) =>
        ResponseJson.Number(ResponseJson.Field(counts, name)) ?? 0;

    private void Append(string type, JsonNode? delta)
    {
        if (ResponseJson.Text(delta) is not { Length: > 0 } more) return;
        if (ResponseJson.Text(open?["type"]) != type)
        {
            var item = new JsonObject { ["id"] = ItemId(type == "message" ? "msg" : "rs"), ["type"] = type };
            if (type == "message") item["role"] = "assistant";
            else item["summary"] = new JsonArray();
            item["content"] = new JsonArray();
            Begin(item);
            Emit("response.content_part.added", At(("part", Part())));
        }

        text.Append(more);
        Emit($"response.{Part()["type"]}.delta", At(("delta", more), ("logprobs", NoLogprobs())));
    }

    private void AddCall(JsonObject call, long index)
    {
        if (closedCalls.Contains(index))
        {
            // Items are sent one after the other, so an item that has ended cannot grow.
            EndFailed(null, $"The worker continued call {index} of a tool after it had begun another item.");
            return;
        }

        var function = call["function"] as JsonObject ?? [];
        if (index != openCall || open is null)
        {
            Begin(new JsonObject
            {
                ["id"] = ItemId("fc"),
                ["type"] = "function_call",
                ["call_id"] = ResponseJson.Text(call["id"]) ?? ItemId("call"),
                ["name"] = ResponseJson.Text(function["name"]) ?? "",
                ["arguments"] = "",
            });
            openCall = index;
        }

        if (ResponseJson.Text(function["arguments"]) is not { Length: > 0 } more) return;
        text.Append(more);
        Emit("response.function_call_arguments.delta", At(("delta", more)));
    }

    private void Begin(JsonObject item)
    {
        Close("completed");
        item["status"] = "in_progress";
        output.Add(item);
        open = item;
        text.Clear();
        Emit("response.output_item.added", new JsonObject
        {
            ["output_index"] = output.Count - 1,
            ["item"] = item.DeepClone(),
        });
    }

    /// <summary>Completes the open item, if there is one.</summary>
    private void Close(string end)
    {
        if (open is null) return;
        if (ResponseJson.Text(open["type"]) == "function_call")
        {
            open["arguments"] = text.ToString();
            Emit("response.function_call_arguments.done",
                At(("arguments", text.ToString()), ("name", open["name"]?.DeepClone())));
            closedCalls.Add(openCall);
        }
        else
        {
            Emit($"response.{Part()["type"]}.done", At(("text", text.ToString()), ("logprobs", NoLogprobs())));
            Emit("response.content_part.done", At(("part", Part())));
            open["content"] = new JsonArray(Part());
        }

        open["status"] = end;
        Emit("response.output_item.done", new JsonObject
        {
            ["output_index"] = output.Count - 1,
            ["item"] = open.DeepClone(),
        });
        open = null;
        openCall = -1;
    }

    /// <summary>Returns the part of the open item with the text so far.</summary>
    private JsonObject Part()
    {
        var isText = ResponseJson.Text(open!["type"]) == "message";
        var part = new JsonObject
        {
            ["type"] = isText ? "output_text" : "reasoning_text",
            ["text"] = text.ToString(),
        };
        if (!isText) return part;
        part["annotations"] = new JsonArray();
        part["logprobs"] = new JsonArray();
        return part;
    }

    private JsonArray? NoLogprobs() => ResponseJson.Text(open!["type"]) == "message" ? [] : null;

    private string ItemId(string prefix) => $"{prefix}_{id["resp_".Length..]}_{output.Count}";

    /// <summary>Returns the place of the open item, and further fields that are not null.</summary>
    private JsonObject At(params (string Name, JsonNode? Value)[] fields)
    {
        var at = new JsonObject { ["item_id"] = open!["id"]!.DeepClone(), ["output_index"] = output.Count - 1 };
        if (ResponseJson.Text(open["type"]) != "function_call") at["content_index"] = 0;
        foreach (var (name, value) in fields)
            if (value is not null) at[name] = value;
        return at;
    }

    private void EmitResponse(string type) => Emit(type, new JsonObject { ["response"] = ToObject() });

    private void Emit(string type, JsonObject data)
    {
        data["type"] = type;
        data["sequence_number"] = sequence++;
        events.Add(data);
    }

    private List<JsonObject> Flush()
    {
        List<JsonObject> all = [.. events];
        events.Clear();
        return all;
    }
}
