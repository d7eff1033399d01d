using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Does with OpenAI's client for .NET what the scripts in <c>clients/</c> do with the others, and returns what they
/// write.
/// </summary>
internal sealed class DotNetClient(ClientSettings settings)
{
    private const int MaxTokens = 24;

    private static readonly ChatMessage[] Messages =
        [new SystemChatMessage("You answer."), new UserChatMessage("What is two plus three?")];

    private static readonly ChatTool Add = ChatTool.CreateFunctionTool("add", "Adds two numbers.",
        BinaryData.FromString("""
            {"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":9},
            "b":{"type":"integer","minimum":0,"maximum":9}},"required":["a","b"],"additionalProperties":false}
            """), functionSchemaIsStrict: true);

    private static readonly BinaryData Schema = BinaryData.FromString("""
        {"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9},
        "color":{"type":"string","enum":["red","blue"]}},"required":["n","color"],"additionalProperties":false}
        """);

    private readonly ChatClient chat = ChatFor(settings.Url, settings.Key, settings.Model);

    /// <summary>Uses the API, and returns what the client got.</summary>
    public async Task<JsonNode> UseAsync()
    {
        var seen = new JsonObject { ["chat"] = await WholeAsync(), ["stream"] = await StreamAsync(Messages) };
        await CallAsync(seen);
        seen["callStream"] = await CallStreamAsync();
        ChatCompletion schema = await chat.CompleteChatAsync(Messages, new ChatCompletionOptions
        {
            Temperature = 0,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("answer", Schema, jsonSchemaIsStrict: true),
        });
        seen["object"] = JsonNode.Parse(schema.Content[0].Text);
        OpenAIEmbeddingCollection embeddings =
            await new EmbeddingClient(settings.Embedder, new ApiKeyCredential(settings.Key), Options(settings.Url))
                .GenerateEmbeddingsAsync(["A cat sits outside.", "A kitten."]);
        seen["embeddings"] = new JsonArray([.. embeddings.Select(
            e => new JsonArray([.. e.ToFloats().ToArray().Select(v => (JsonNode)v)]))]);
        seen["errors"] = await ErrorsAsync();
        return JsonNode.Parse(seen.ToJsonString())!;
    }

    private async Task<JsonObject> WholeAsync()
    {
        ChatCompletion whole = await chat.CompleteChatAsync(Messages, Limited());
        return new JsonObject
        {
            ["text"] = whole.Content[0].Text,
            ["reason"] = Name(whole.FinishReason),
            ["prompt"] = whole.Usage.InputTokenCount,
            ["generated"] = whole.Usage.OutputTokenCount,
        };
    }

    private async Task<JsonObject> StreamAsync(ChatMessage[] messages)
    {
        var (text, pieces, answer) = (new StringBuilder(), 0, new JsonObject());
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, Limited()))
        {
            foreach (var part in update.ContentUpdate.Where(p => p.Text.Length > 0))
            {
                text.Append(part.Text);
                pieces++;
            }

            if (update.FinishReason is { } reason) answer["reason"] = Name(reason);
            if (update.Usage is not { } usage) continue;
            answer["prompt"] = usage.InputTokenCount;
            answer["generated"] = usage.OutputTokenCount;
        }

        answer["text"] = text.ToString();
        answer["pieces"] = pieces;
        return answer;
    }

    /// <summary>Lets the model call a tool, and sends its result.</summary>
    private async Task CallAsync(JsonObject seen)
    {
        ChatCompletion called = await chat.CompleteChatAsync(Messages, Calling(ChatToolChoice.CreateRequiredChoice()));
        var call = called.ToolCalls[0];
        seen["call"] = Call(call.Id, call.FunctionName, call.FunctionArguments.ToString(), Name(called.FinishReason));
        var options = Calling(ChatToolChoice.CreateNoneChoice());
        options.MaxOutputTokenCount = MaxTokens;
        ChatCompletion after = await chat.CompleteChatAsync(
            [.. Messages, new AssistantChatMessage(called), new ToolChatMessage(call.Id, "5")], options);
        seen["afterCall"] = after.Content[0].Text;
    }

    private async Task<JsonObject> CallStreamAsync()
    {
        var (id, name, arguments, reason) = ("", "", new StringBuilder(), "");
        var options = Calling(ChatToolChoice.CreateRequiredChoice());
        await foreach (var update in chat.CompleteChatStreamingAsync(Messages, options))
        {
            foreach (var part in update.ToolCallUpdates)
            {
                id += part.ToolCallId;
                name += part.FunctionName;
                arguments.Append(part.FunctionArgumentsUpdate);
            }

            if (update.FinishReason is { } ended) reason = Name(ended);
        }

        return Call(id, name, arguments.ToString(), reason);
    }

    private async Task<JsonObject> ErrorsAsync()
    {
        var errors = new JsonObject
        {
            ["key"] = await ErrorAsync(() => SendAsync("slk_wrong", settings.Model, 1)),
            ["model"] = await ErrorAsync(() => SendAsync(settings.Key, "none", 1)),
            ["field"] = await ErrorAsync(() => SendAsync(settings.Key, settings.Model, 2)),
            ["limit"] = await ErrorAsync(async () =>
            {
                for (var sent = 0; sent < 5; sent++) await SendAsync(settings.LimitedKey, settings.Model, 1);
            }),
        };
        if (settings.Fails)
        {
            // The client for .NET has no rule for an error in a stream: it skips what is no chunk.
            var cut = await StreamAsync([new UserChatMessage("FAIL")]);
            errors["inStream"] = cut["reason"] is null ? "EngineCore: no finish_reason" : null;
        }

        return errors;

        Task SendAsync(string key, string model, float topP) => ChatFor(settings.Url, key, model)
            .CompleteChatAsync(Messages, new ChatCompletionOptions { TopP = topP, MaxOutputTokenCount = MaxTokens });
    }

    private static async Task<JsonObject?> ErrorAsync(Func<Task> send)
    {
        try
        {
            await send();
            return null;
        }
        catch (ClientResultException e)
        {
            return new JsonObject { ["status"] = e.Status, ["message"] = e.Message };
        }
    }

    private static JsonObject Call(string id, string name, string arguments, string reason) => new()
    {
        ["id"] = id,
        ["name"] = name,
        ["arguments"] = JsonNode.Parse(arguments),
        ["reason"] = reason,
    };

    private static string Name(ChatFinishReason reason) => reason switch
    {
        ChatFinishReason.Stop => "stop",
        ChatFinishReason.Length => "length",
        ChatFinishReason.ToolCalls => "tool_calls",
        _ => reason.ToString(),
    };

    private static ChatCompletionOptions Limited() => new() { Temperature = 0, MaxOutputTokenCount = MaxTokens };

    private static ChatCompletionOptions Calling(ChatToolChoice choice) =>
        new() { Temperature = 0, Tools = { Add }, ToolChoice = choice };

    private static ChatClient ChatFor(Uri url, string key, string model) =>
        new(model, new ApiKeyCredential(key), Options(url));

    private static OpenAIClientOptions Options(Uri url) =>
        new() { Endpoint = url, RetryPolicy = new ClientRetryPolicy(0) };
}
