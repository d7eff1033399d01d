using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice usage</c>: what was used, and what it costs.</summary>
internal static class UsageCommand
{
    public static Command Create(Connection connection)
    {
        var by = new Option<string>("--by")
        {
            Description = "key, endpoint, model or tag", DefaultValueFactory = _ => "endpoint",
        };
        by.AcceptOnlyFromAmong("key", "endpoint", "model", "tag");
        var step = new Option<string>("--step")
        {
            Description = "hour, day or month", DefaultValueFactory = _ => "day",
        };
        step.AcceptOnlyFromAmong("hour", "day", "month");
        var since = new Option<string?>("--since") { Description = "First time, like 2026-11-01T00:00:00Z" };
        var until = new Option<string?>("--until") { Description = "Time after the last one" };
        var csv = new Option<bool>("--csv") { Description = "Print CSV" };
        var command = new Command("usage", "Print what was used, and what it costs") { by, step, since, until, csv };
        connection.SetAction(command, async (context, ct) =>
        {
            var p = context.Parsed;
            var path = $"api/v1/usage?groupBy={p.GetValue(by)}&step={p.GetValue(step)}"
                + Query("since", p.GetValue(since)) + Query("until", p.GetValue(until));
            if (p.GetValue(csv))
            {
                await context.Out.WriteAsync(
                    await context.Gateway.TextAsync(HttpMethod.Get, path + "&format=csv", null, ct));
                return;
            }

            var answer = await context.Gateway.GetAsync(path, ct);
            await context.PrintAsync(answer, () => TableOf(answer), "Nothing was used.");
        });
        return command;
    }

    private static string Query(string name, string? value) =>
        value is null ? "" : $"&{name}={Uri.EscapeDataString(value)}";

    /// <summary>A column for each number that is not zero everywhere, in the order of the response.</summary>
    private static Table TableOf(JsonObject answer)
    {
        var rows = answer["usage"]?.AsArray().Select(Flatten).ToList() ?? [];
        var names = rows.SelectMany(r => r.Keys).Distinct()
            .Where(n => rows.Any(r => r.GetValueOrDefault(n) is not (null or "" or "0"))).ToArray();
        var table = new Table([.. names.Select(n => n.ToUpperInvariant())]);
        foreach (var row in rows) table.Add([.. names.Select(n => (object?)row.GetValueOrDefault(n))]);
        return table;
    }

    private static Dictionary<string, string> Flatten(JsonNode? row)
    {
        var flat = new Dictionary<string, string>();
        foreach (var (name, value) in row!.AsObject())
            if (value is JsonObject inner)
                foreach (var (part, number) in Flatten(inner)) flat[part] = number;
            else flat[name] = value?.ToString() ?? "";
        return flat;
    }
}
