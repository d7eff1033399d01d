using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice ls [KIND]</c>: what is declared and what runs.</summary>
internal static class ListCommand
{
    private static readonly string[] Kinds =
        ["endpoints", "workers", "templates", "pods", "models", "gpus", "hosts"];

    public static Command Create(Connection connection)
    {
        var kind = new Argument<string>("KIND")
        {
            Description = string.Join(", ", Kinds), DefaultValueFactory = _ => "endpoints",
        };
        kind.AcceptOnlyFromAmong(Kinds);
        var command = new Command("ls", "List endpoints, or objects of another kind") { kind };
        connection.SetAction(command, (context, ct) => context.Parsed.GetValue(kind) switch
        {
            "workers" => WorkersAsync(context, ct),
            "templates" => ListAsync(context, "templates", TemplatesOf, ct),
            "pods" => ListAsync(context, "pods", PodsOf, ct),
            "models" => ListAsync(context, "models", ModelsOf, ct),
            "gpus" => ListAsync(context, "gpus", GpusOf, ct),
            "hosts" => ListAsync(context, "hosts", HostsOf, ct),
            _ => ListAsync(context, "endpoints", EndpointsOf, ct),
        });
        return command;
    }

    private static async Task ListAsync(
        CommandContext context, string kind, Func<JsonArray, DateTimeOffset, Table> table, CancellationToken ct)
    {
        var answer = await context.Gateway.GetAsync($"api/v1/{kind}", ct);
        await context.PrintAsync(answer, () => table(answer[kind] as JsonArray ?? [], context.Time.GetUtcNow()),
            $"There are no {kind}.");
    }

    private static async Task WorkersAsync(CommandContext context, CancellationToken ct)
    {
        var endpoints = await context.Gateway.GetAsync("api/v1/endpoints", ct);
        var all = new JsonArray();
        foreach (var id in endpoints["endpoints"]!.AsArray().Select(e => (string)e!["id"]!))
        {
            var answer = await context.Gateway.GetAsync($"api/v1/endpoints/{id}/workers", ct);
            foreach (var worker in answer["workers"]!.AsArray())
            {
                var copy = worker!.DeepClone().AsObject();
                copy.Insert(0, "endpoint", id);
                all.Add((JsonNode)copy);
            }
        }

        await context.PrintAsync(new JsonObject { ["workers"] = all }, () =>
        {
            var table = new Table("ENDPOINT", "WORKER", "STATE", "BUSY", "DEVICES", "AGE", "REASON");
            foreach (var w in all)
                table.Add(w!["endpoint"], w["id"], w["state"], Busy(w["slots"]), Join(w["devices"]),
                    Age.Of(w["startedAt"], context.Time.GetUtcNow()), w["reason"]);
            return table;
        }, "There are no workers.");
    }

    private static Table EndpointsOf(JsonArray endpoints, DateTimeOffset now)
    {
        var table = new Table("ENDPOINT", "TEMPLATE", "WORKERS", "QUEUED", "RUNNING", "MIN", "MAX", "ACCESS", "STATE");
        foreach (var e in endpoints)
        {
            var (status, scaling) = (e!["status"], e["scaling"]);
            table.Add(e["id"], e["template"], Workers(status?["workers"]), status?["queued"], status?["running"],
                scaling?["min"], scaling?["max"], (bool?)e["public"] == true ? "public" : "private", State(e));
        }

        return table;
    }

    private static string State(JsonNode endpoint) =>
        DoctorCommand.EndpointProblem(endpoint["status"]) is { } problem ? problem
        : endpoint["scaling"]?["pause"]?.ToString() is { } pause and not "NONE" ? $"paused ({pause})"
        : endpoint["status"]?["rollout"] is not null ? "rolling out" : "ok";

    private static string? Busy(JsonNode? slots) =>
        slots is null ? null : $"{(int)slots["capacity"]! - (int)slots["free"]!}/{slots["capacity"]}";

    private static string Workers(JsonNode? states) =>
        states is JsonObject { Count: > 0 } o ? string.Join(' ', o.Select(s => $"{s.Value} {s.Key}")) : "0";

    private static Table TemplatesOf(JsonArray templates, DateTimeOffset now)
    {
        var table = new Table("TEMPLATE", "STARTS", "PROTOCOL", "CONCURRENCY", "GPU", "ORIGIN");
        foreach (var t in templates)
            table.Add(t!["name"], t["image"]?.ToString() is { Length: > 0 } image ? image
                    : t["command"] is JsonArray { Count: > 0 } command ? Join(command, " ") : "built-in ONNX worker",
                t["protocol"], t["concurrency"], t["gpu"]?.ToJsonString(), t["origin"]);
        return table;
    }

    private static Table PodsOf(JsonArray pods, DateTimeOffset now)
    {
        var table = new Table("POD", "NAME", "STATUS", "IMAGE", "AGE", "REASON");
        foreach (var p in pods)
            table.Add(p!["id"], p["spec"]?["name"], p["status"], p["spec"]?["image"], Age.Of(p["createdAt"], now),
                p["reason"]);
        return table;
    }

    private static Table ModelsOf(JsonArray models, DateTimeOffset now)
    {
        var table = new Table("MODEL", "VERSION", "STATE", "BYTES", "USED BY");
        foreach (var m in models)
            foreach (var v in m!["versions"] as JsonArray ?? [])
                table.Add(m["name"], v!["version"], v["state"], v["bytes"], Join(v["usedBy"]));
        return table;
    }

    private static Table GpusOf(JsonArray gpus, DateTimeOffset now)
    {
        var table = new Table("GPU", "MODEL", "MEMORY MIB", "HOST", "USED BY");
        foreach (var g in gpus)
            table.Add(g!["uuid"], g["model"] ?? g["name"], g["memoryMiB"], g["node"],
                Join(g["users"]));
        return table;
    }

    private static Table HostsOf(JsonArray hosts, DateTimeOffset now)
    {
        var table = new Table("HOST", "EXAMINED", "PROVIDER", "PROBLEM");
        foreach (var h in hosts)
            table.Add(h!["id"], Age.Of(h["examinedAt"], now), h["doctor"]?["serving"],
                DoctorCommand.HostProblem(h["doctor"]));
        return table;
    }

    private static string Join(JsonNode? list, string separator = ", ") =>
        list is JsonArray items ? string.Join(separator, items.Select(i => i is JsonObject o
            ? o["endpoint"]?.ToString() ?? o.ToJsonString() : i?.ToString())) : "";
}
