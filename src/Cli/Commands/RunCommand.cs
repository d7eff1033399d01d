using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice run MODEL TEXT</c>: sends a request, and prints the answer as it arrives.</summary>
internal static class RunCommand
{
    public static Command Create(Connection connection)
    {
        var model = new Argument<string>("MODEL") { Description = "Name of the model, or id of the endpoint" };
        var input = new Argument<string>("INPUT")
        {
            Description = "A message to a language model, or JSON with --infer or --path; - for standard input",
        };
        var system = new Option<string?>("--system") { Description = "Instructions before the message" };
        var tokens = new Option<int?>("--max-tokens") { Description = "Largest number of generated tokens" };
        var infer = new Option<bool>("--infer") { Description = "Send the JSON as an inference request with tensors" };
        var path = new Option<string?>("--path") { Description = "Send the JSON to this path of a worker" };
        var command = new Command("run", "Send a request, and print the answer as it arrives")
        {
            model, input, system, tokens, infer, path,
        };
        connection.SetAction(command, async (context, ct) =>
        {
            var p = context.Parsed;
            var (name, text) = (p.GetValue(model)!, p.GetValue(input)!);
            if (p.GetValue(path) is { } rest)
                await context.Out.WriteLineAsync(Terminal.Clean(await context.Gateway.TextAsync(HttpMethod.Post,
                    $"e/{Uri.EscapeDataString(name)}/{rest.TrimStart('/')}", await JsonInput.ReadAsync(text, ct), ct),
                    lines: true));
            else if (p.GetValue(infer))
                await context.PrintJsonAsync((await context.Gateway.SendAsync(HttpMethod.Post,
                    $"v2/models/{Uri.EscapeDataString(name)}/infer", await JsonInput.ReadAsync(text, ct), ct))!);
            else
                await ChatAsync(context, Body(name, text == "-" ? await Console.In.ReadToEndAsync(ct) : text,
                    p.GetValue(system), p.GetValue(tokens)), ct);
        });
        return command;
    }

    private static JsonObject Body(string model, string text, string? system, int? tokens)
    {
        var messages = new JsonArray();
        if (system is not null) messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = system });
        messages.Add((JsonNode)new JsonObject { ["role"] = "user", ["content"] = text });
        var body = new JsonObject { ["model"] = model, ["messages"] = messages, ["stream"] = true };
        if (tokens is not null) body["max_completion_tokens"] = tokens;
        return body;
    }

    private static async Task ChatAsync(CommandContext context, JsonObject body, CancellationToken ct)
    {
        var isDone = false;
        await foreach (var (_, data) in context.Gateway.EventsAsync(
            HttpMethod.Post, "v1/chat/completions", body, ct))
        {
            if (isDone = data == "[DONE]") break;
            var chunk = JsonNode.Parse(data);
            if (chunk?["error"] is { } error)
                throw new CliException(error["message"]?.ToString() ?? error.ToJsonString(), ExitCodes.Refused);
            await PrintAsync(context, data, chunk, ct);
        }

        if (!isDone) throw new CliException("the stream ended before its last event", ExitCodes.NoResponse);
        if (!context.AsJson) await context.Out.WriteLineAsync();
    }

    private static async Task PrintAsync(CommandContext context, string data, JsonNode? chunk, CancellationToken ct)
    {
        if (context.AsJson)
            await context.Out.WriteLineAsync(data);
        else if (chunk?["choices"] is JsonArray { Count: > 0 } choices)
            await context.Out.WriteAsync(
                Terminal.Clean(choices[0]?["delta"]?["content"]?.ToString() ?? "", lines: true));
        await context.Out.FlushAsync(ct);
    }
}
