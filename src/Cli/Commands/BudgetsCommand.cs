using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice budgets</c>: lists, creates and deletes budgets.</summary>
internal static class BudgetsCommand
{
    public static Command Create(Connection connection) => new("budgets", "List, create and delete budgets")
    {
        List(connection), New(connection), Delete(connection),
    };

    private static Command List(Connection connection)
    {
        var command = new Command("ls", "List all budgets, with what is used of them in their windows");
        connection.SetAction(command, async (context, ct) =>
        {
            var answer = await context.Gateway.GetAsync("api/v1/budgets", ct);
            await context.PrintAsync(answer, () =>
            {
                var table = new Table("BUDGET", "NAME", "OF", "USED", "LIMIT", "UNIT", "WINDOW", "RESETS");
                foreach (var b in answer["budgets"]!.AsArray())
                    table.Add(b!["id"], b["name"], $"{b["scope"]} {b["target"]}".TrimEnd(), Number(b["used"]),
                        Number(b["limit"]), b["unit"], b["window"], b["resetsAt"]);
                return table;
            }, "There are no budgets.");
        });
        return command;
    }

    private static Command New(Connection connection)
    {
        var scope = new Argument<string>("SCOPE") { Description = "gateway, endpoint, key or tag" };
        scope.AcceptOnlyFromAmong("gateway", "endpoint", "key", "tag");
        var limit = new Argument<double>("LIMIT") { Description = "Limit, in the unit" };
        var unit = new Argument<string>("UNIT") { Description = "requests, tokens, workerSeconds or money" };
        unit.AcceptOnlyFromAmong("requests", "tokens", "workerSeconds", "money");
        var window = new Argument<string>("WINDOW") { Description = "day, week or month, in UTC" };
        window.AcceptOnlyFromAmong("day", "week", "month");
        var target = new Option<string?>("--target") { Description = "Endpoint, key, or name=value of a tag of keys" };
        var name = new Option<string?>("--name") { Description = "Name of the budget" };
        var webhook = new Option<string?>("--webhook") { Description = "URL that gets the alerts" };
        var command = new Command("create", "Create a budget, and print its id")
        {
            scope, limit, unit, window, target, name, webhook,
        };
        connection.SetAction(command, async (context, ct) =>
        {
            var p = context.Parsed;
            var body = new JsonObject
            {
                ["scope"] = p.GetValue(scope), ["limit"] = p.GetValue(limit), ["unit"] = p.GetValue(unit),
                ["window"] = p.GetValue(window),
            };
            foreach (var (field, option) in new[] { ("target", target), ("name", name), ("webhook", webhook) })
                if (p.GetValue(option) is { } value) body[field] = value;
            var created = (await context.Gateway.SendAsync(HttpMethod.Post, "api/v1/budgets", body, ct))!;
            if (context.AsJson) await context.PrintJsonAsync(created);
            else await context.Out.WriteLineAsync(Terminal.Clean(created["id"]!.ToString()));
        });
        return command;
    }

    private static Command Delete(Connection connection)
    {
        var id = new Argument<string>("BUDGET") { Description = "Id of the budget" };
        var command = new Command("delete", "Delete a budget; its limit ends within 2 s") { id };
        connection.SetAction(command, async (context, ct) =>
        {
            var budget = context.Parsed.GetValue(id)!;
            await context.Gateway.SendAsync(
                HttpMethod.Delete, $"api/v1/budgets/{Uri.EscapeDataString(budget)}", null, ct);
            if (!context.AsJson) await context.Out.WriteLineAsync($"deleted {Terminal.Clean(budget)}");
        });
        return command;
    }

    private static string Number(JsonNode? value) =>
        ((double)value!).ToString("0.######", CultureInfo.InvariantCulture);
}
