using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice keys</c>: lists, creates and revokes API keys.</summary>
internal static class KeysCommand
{
    public static Command Create(Connection connection) => new("keys", "List, create and revoke API keys")
    {
        List(connection), New(connection), Revoke(connection), Self(connection),
    };

    private static Command List(Connection connection)
    {
        var command = new Command("ls", "List all keys, without their text");
        connection.SetAction(command, async (context, ct) =>
        {
            var all = new JsonArray();
            for (var cursor = ""; cursor is not null;)
            {
                var page = await context.Gateway.GetAsync(
                    "api/v1/keys?limit=1000" + (cursor.Length > 0 ? $"&cursor={Uri.EscapeDataString(cursor)}" : ""),
                    ct);
                foreach (var key in page["keys"]!.AsArray()) all.Add(key!.DeepClone());
                cursor = page["next"]?.ToString();
            }

            await context.PrintAsync(new JsonObject { ["keys"] = all }, () =>
            {
                var (table, now) = (new Table("KEY", "NAME", "ENDS WITH", "SCOPE", "CREATED", "LAST USE", "EXPIRES"),
                    context.Time.GetUtcNow());
                foreach (var k in all)
                    table.Add(k!["id"], k["name"], k["last4"], Scope(k["scope"]), Age.Of(k["createdAt"], now),
                        Age.Of(k["lastUsedAt"], now), k["expiresAt"]);
                return table;
            }, "There are no keys.");
        });
        return command;
    }

    private static Command New(Connection connection)
    {
        var name = new Argument<string>("NAME") { Description = "Name of the key" };
        var admin = new Option<bool>("--admin") { Description = "The key may do everything" };
        var read = new Option<bool>("--read") { Description = "The key may read everything but secrets" };
        var metrics = new Option<bool>("--metrics") { Description = "The key may read the metrics" };
        var invoke = new Option<string[]>("--invoke")
        {
            Description = "Endpoints that the key may use; * for all", AllowMultipleArgumentsPerToken = true,
        };
        var rate = new Option<int?>("--requests-per-minute") { Description = "Limit of requests" };
        var tokens = new Option<int?>("--tokens-per-minute") { Description = "Limit of tokens" };
        var expires = new Option<string?>("--expires-at")
        {
            Description = "Time of its end, like 2027-01-31T00:00:00Z",
        };
        var command = new Command("create", "Create a key, and print its text: no other command prints it")
        {
            name, admin, read, metrics, invoke, rate, tokens, expires,
        };
        connection.SetAction(command, async (context, ct) =>
        {
            var p = context.Parsed;
            var body = new JsonObject { ["name"] = p.GetValue(name) };
            if (p.GetValue(admin)) body["admin"] = true;
            if (p.GetValue(read)) body["read"] = true;
            if (p.GetValue(metrics)) body["metrics"] = true;
            if (p.GetValue(invoke) is { Length: > 0 } endpoints)
                body["invoke"] = new JsonArray([.. endpoints.Select(e => JsonValue.Create(e))]);
            if (p.GetValue(rate) is { } requests) body["requestsPerMinute"] = requests;
            if (p.GetValue(tokens) is { } limit) body["tokensPerMinute"] = limit;
            if (p.GetValue(expires) is { } end) body["expiresAt"] = end;
            var created = (await context.Gateway.SendAsync(HttpMethod.Post, "api/v1/keys", body, ct))!;
            if (context.AsJson) await context.PrintJsonAsync(created);
            else await context.Out.WriteLineAsync(created["key"]!.ToString());
        });
        return command;
    }

    private static Command Revoke(Connection connection)
    {
        var id = new Argument<string>("KEY") { Description = "Id of the key" };
        var command = new Command("revoke", "Revoke a key; all gateways reject it within 2 s") { id };
        connection.SetAction(command, async (context, ct) =>
        {
            var key = context.Parsed.GetValue(id)!;
            await context.Gateway.SendAsync(HttpMethod.Delete, $"api/v1/keys/{Uri.EscapeDataString(key)}", null, ct);
            if (!context.AsJson) await context.Out.WriteLineAsync($"revoked {Terminal.Clean(key)}");
        });
        return command;
    }

    private static Command Self(Connection connection)
    {
        var command = new Command("self", "Print the key of this command: its scope, its limits and what is left");
        connection.SetAction(command, async (context, ct) =>
            await context.PrintJsonAsync(await context.Gateway.GetAsync("api/v1/key", ct)));
        return command;
    }

    private static string Scope(JsonNode? scope)
    {
        var parts = new[] { "admin", "read", "metrics" }.Where(s => (bool?)scope?[s] == true).ToList();
        if (scope?["invoke"] is JsonArray { Count: > 0 } invoke) parts.Add($"invoke {string.Join(',', invoke)}");
        if (scope?["pods"] is JsonArray { Count: > 0 } pods) parts.Add($"pods {string.Join(',', pods)}");
        return string.Join(' ', parts);
    }
}
