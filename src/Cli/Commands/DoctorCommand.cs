using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice doctor</c>: checks a gateway, its manifest, its machines and its endpoints.</summary>
internal static class DoctorCommand
{
    public static Command Create(Connection connection)
    {
        var command = new Command(
            "doctor", "Check the gateway, its machines and its endpoints; exit code 1 if a check fails");
        connection.SetAction(command, async (context, ct) =>
        {
            var checks = new List<(string Name, string? Problem)>
            {
                ("gateway", await ProblemAsync(() => context.Gateway.TextAsync(HttpMethod.Get, "readyz", null, ct))),
            };
            var manifest = await context.Gateway.GetAsync("api/v1/manifest", ct);
            checks.Add(("manifest", manifest["errors"] is JsonArray { Count: > 0 } errors
                ? string.Join("; ", errors) : null));
            var check = await context.Gateway.GetAsync("api/v1/admin/check", ct);
            checks.Add(("stored state", (bool)check["ok"]! ? null : check["endpoints"]!.ToJsonString()));
            var hosts = (await context.Gateway.GetAsync("api/v1/hosts", ct))["hosts"]!.AsArray();
            checks.AddRange(hosts.Select(h => ($"host {h!["id"]}", HostProblem(h["doctor"]))));
            var endpoints = (await context.Gateway.GetAsync("api/v1/endpoints", ct))["endpoints"]!.AsArray();
            checks.AddRange(endpoints.Select(e => ($"endpoint {e!["id"]}", EndpointProblem(e["status"]))));

            await context.PrintAsync(new JsonArray([.. checks.Select(c => new JsonObject
            {
                ["check"] = c.Name, ["ok"] = c.Problem is null, ["problem"] = c.Problem,
            })]), () =>
            {
                var table = new Table("CHECK", "OK", "PROBLEM");
                foreach (var (name, problem) in checks) table.Add(name, problem is null ? "yes" : "NO", problem);
                return table;
            }, "");
            return checks.All(c => c.Problem is null) ? ExitCodes.Done : ExitCodes.Refused;
        });
        return command;
    }

    private static async Task<string?> ProblemAsync(Func<Task<string>> call)
    {
        try
        {
            await call();
            return null;
        }
        catch (CliException e) when (e.ExitCode == ExitCodes.Refused)
        {
            return e.Message;
        }
    }

    /// <summary>
    /// Returns why a machine cannot serve with the providers that it should use; null if it can. The report is that of
    /// <c>Sluice.Worker doctor --json</c>.
    /// </summary>
    internal static string? HostProblem(JsonNode? doctor) =>
        (bool?)doctor?["served"] == false ? doctor["verdict"]?.ToString() : null;

    /// <summary>Returns why an endpoint has no workers; null if nothing prevents them.</summary>
    internal static string? EndpointProblem(JsonNode? status) =>
        status?["blocked"] is { } blocked ? $"blocked: {blocked}"
        : status?["noCapacity"] is { } wait ? $"no capacity: {wait["detail"]}" : null;
}
