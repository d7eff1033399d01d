using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Http;
using Sluice.Worker.Serving;

namespace Sluice.Worker.OpenAi;

/// <summary>Implements <c>/v1/chat/completions</c>.</summary>
internal sealed class ChatApi(TextApi texts)
{
    private const int MaxTopLogprobs = 20;

    public void Map(Router routes) =>
        routes.MapPost("/v1/chat/completions", context => texts.HandleAsync(context, Read));

    private TextRequest Read(RequestFields fields, LoadedModel model, string flow, StreamOrigin origin)
    {
        var generator = model.Generator!;
        var chat = generator.Chat ?? throw new OpenAiException(
            $"The model '{model.Name}' has no chat template (chat_template.jinja, or chat_template in "
            + "tokenizer_config.json); use /v1/completions.", "model");
        var top = fields.Integer("top_logprobs", 0, MaxTopLogprobs);
        var logprobs = fields.Flag("logprobs");
        if (top is not null && !logprobs)
            throw new OpenAiException(
                "'top_logprobs' is set, but 'logprobs' is not true; expected both or none.", "top_logprobs");
        var options = CompletionOptions.Read(
            fields, generator, origin.Seed, logprobs ? (int)(top ?? 0) : null, int.MaxValue);
        var tools = ToolUse.Read(fields, OutputFormat.CompilerOf(generator), chat);
        var constraint = tools.Constraint ?? OutputFormat.Read(fields, generator);
        var text = chat.Template.Render(ReadConversation(fields, tools.Tools) with { Time = origin.Time });
        generator.CheckSize(text);
        var prompt = generator.Tokenizer.EncodePrompt(text);
        var scope = CompletionOptions.Scope(fields, flow);
        var head = new ResponseHead($"chatcmpl-{origin.Id:N}", origin.Created, model.Name);
        return new TextRequest(
            options,
            [.. Enumerable.Range(0, options.Count).Select(i => new Choice(i, options.For(prompt, i, scope) with
            {
                Constraint = constraint?.CreateProcessor(
                    Math.Min(options.Sampling.MaxTokens, generator.Context - prompt.Length)),
                KeepsSpecialTokens = tools.Parses,
            }))],
            new ChatFormat(head, options, new LogprobsWriter(generator.Tokenizer), tools));
    }

    private static Conversation ReadConversation(RequestFields fields, JsonElement? tools)
    {
        if (fields.Find("messages") is not { } messages)
            throw new OpenAiException("'messages' is missing; expected a list of messages.", "messages");
        if (messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
            throw fields.Invalid("messages", messages, "a list of at least one message");
        foreach (var message in messages.EnumerateArray())
            if (message.ValueKind != JsonValueKind.Object
                || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String)
                throw fields.Invalid("messages", message, "objects with a string 'role'");
        return new Conversation(messages)
        {
            Tools = tools,
            Variables = fields.Object("chat_template_kwargs") is { } variables
                ? variables.All()
                : new Dictionary<string, JsonElement>(),
        };
    }
}
