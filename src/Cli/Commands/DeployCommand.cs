using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;
using Sluice.Domain.Declarations;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice deploy FILE</c>: applies a manifest, whole or not at all.</summary>
internal static class DeployCommand
{
    public static Command Create(Connection connection)
    {
        var file = new Argument<string>("FILE") { Description = "The manifest (YAML or JSON); - for standard input" };
        var dryRun = new Option<bool>("--dry-run")
        {
            Description = "Change nothing; print every error, and what would change",
        };
        var diff = new Option<bool>("--diff") { Description = "Change nothing; print what would change, by field" };
        var command = new Command("deploy", "Apply a manifest: create and change its templates and endpoints")
        {
            file, dryRun, diff,
        };
        connection.SetAction(command, async (context, ct) =>
        {
            var text = await ReadAsync(context.Parsed.GetValue(file)!, ct);
            var variables = new JsonObject();
            foreach (var name in Variables.NamesIn(text).Where(n => !Variables.IsReserved(n)))
                if (Environment.GetEnvironmentVariable(name) is { } value) variables[name] = value;
            var (fields, dry) = (context.Parsed.GetValue(diff), context.Parsed.GetValue(dryRun));
            var answer = (await context.Gateway.SendAsync(HttpMethod.Post,
                "api/v1/declarations" + (fields || dry ? "?dryRun=true" : ""),
                new JsonObject { ["manifest"] = text, ["variables"] = variables }, ct))!;
            if (context.AsJson) await context.PrintJsonAsync(answer);
            else await PrintAsync(context.Out, answer, fields, fields || dry);
        });
        return command;
    }

    private static async Task PrintAsync(TextWriter to, JsonObject answer, bool fields, bool dry)
    {
        foreach (var change in answer["changes"]!.AsArray())
        {
            var created = change!["action"]!.ToString() == "create";
            var verb = (created, dry) switch
            {
                (true, true) => "would create", (true, false) => "created",
                (false, true) => "would change", _ => "changed",
            };
            var target = change["target"]!.ToString().Replace("/api/v1/", "", StringComparison.Ordinal);
            await to.WriteLineAsync($"{verb} {target}");
            if (!fields) continue;
            foreach (var line in FieldDifferences.Lines(change["before"], change["after"]))
                await to.WriteLineAsync("  " + Terminal.Clean(line));
        }

        await to.WriteLineAsync($"{answer["unchanged"]} unchanged");
    }

    private static async Task<string> ReadAsync(string file, CancellationToken ct)
    {
        try
        {
            return file == "-" ? await Console.In.ReadToEndAsync(ct) : await File.ReadAllTextAsync(file, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliException($"the manifest cannot be read: {e.Message}", ExitCodes.WrongUsage);
        }
    }
}
