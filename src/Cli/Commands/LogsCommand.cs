using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice logs ENDPOINT [WORKER]</c>: the log of a worker, also after it has ended.</summary>
internal static class LogsCommand
{
    public static Command Create(Connection connection)
    {
        var endpoint = new Argument<string>("ENDPOINT") { Description = "Id of the endpoint" };
        var worker = new Argument<string?>("WORKER")
        {
            Description = "Id of the worker; the one with the latest line if it is omitted",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var follow = new Option<bool>("--follow", "-f") { Description = "Wait for more lines until the worker ends" };
        var tail = new Option<int>("--tail", "-n")
        {
            Description = "Number of lines before, 1 to 1000", DefaultValueFactory = _ => 200,
        };
        var request = new Option<string?>("--request")
        {
            Description = "Only lines with this request id, or job id",
        };
        var command = new Command("logs", "Print the log of a worker") { endpoint, worker, follow, tail, request };
        connection.SetAction(command, async (context, ct) =>
        {
            var id = Uri.EscapeDataString(context.Parsed.GetValue(endpoint)!);
            var name = context.Parsed.GetValue(worker) ?? await LatestAsync(context, id, ct);
            var path = $"api/v1/endpoints/{id}/workers/{Uri.EscapeDataString(name)}/logs"
                + $"?tail={context.Parsed.GetValue(tail)}"
                + (context.Parsed.GetValue(request) is { } only ? $"&requestId={Uri.EscapeDataString(only)}" : "");
            if (!context.Parsed.GetValue(follow))
            {
                var log = await context.Gateway.GetAsync(path, ct);
                if (context.AsJson) await context.PrintJsonAsync(log);
                else foreach (var line in log["lines"]!.AsArray()) await PrintAsync(context, line!);
                return;
            }

            await foreach (var (kind, data) in context.Gateway.EventsAsync(
                HttpMethod.Get, path + "&follow=true", null, ct))
            {
                if (kind == "end") return;
                if (JsonNode.Parse(data) is JsonObject line) await PrintAsync(context, line);
            }

            throw new CliException("the stream ended before the log", ExitCodes.NoResponse);
        });
        return command;
    }

    private static async Task<string> LatestAsync(CommandContext context, string endpoint, CancellationToken ct)
    {
        var logs = (await context.Gateway.GetAsync($"api/v1/endpoints/{endpoint}/logs", ct))["logs"]!.AsArray();
        return logs.MaxBy(l => l!["lastLineAt"]?.ToString(), StringComparer.Ordinal)?["worker"]?.ToString()
            ?? throw new CliException($"no worker of endpoint '{endpoint}' has written a line in the last 24 hours",
                ExitCodes.Refused);
    }

    private static Task PrintAsync(CommandContext context, JsonNode line) => context.AsJson
        ? context.Out.WriteLineAsync(line.ToJsonString(JsonSerializerOptions.Default))
        : context.Out.WriteLineAsync($"{Time(line["at"])} {(line["source"]?.ToString() == "system" ? "Sluice: " : "")}"
            + Terminal.Clean(line["text"]?.ToString() ?? ""));

    private static string Time(JsonNode? at) => at?.GetValue<DateTimeOffset>()
        .ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture) ?? "";
}
