using System.CommandLine;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice log-level [LEVEL]</c>: the log levels of all gateways, while they run.</summary>
internal static class LogLevelCommand
{
    private const string Path = "api/v1/log-level";

    public static Command Create(Connection connection)
    {
        var level = new Argument<string?>("LEVEL")
        {
            Description = "Trace, Debug, Information, Warning, Error, Critical or None; shows the levels if omitted",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var categories = new Option<string[]>("--category")
        {
            Description = "CATEGORY=LEVEL, more than once; also for the categories that begin with it",
            AllowMultipleArgumentsPerToken = false,
        };
        var life = new Option<string?>("--for") { Description = "How long, like 15m; without it until --reset" };
        var reset = new Option<bool>("--reset") { Description = "Return to the level of SLUICE_LOG_LEVEL" };
        var command = new Command("log-level", "Show or set the log level of all gateways")
        {
            level, categories, life, reset,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(categories)?.FirstOrDefault(c => !c.Contains('=')) is { } wrong)
                result.AddError($"--category is '{wrong}'; expected CATEGORY=LEVEL.");
        });
        connection.SetAction(command, async (context, ct) =>
        {
            var (text, own) = (context.Parsed.GetValue(level), context.Parsed.GetValue(categories) ?? []);
            var changes = text is not null || own.Length > 0;
            var body = new JsonObject { ["level"] = text, ["categories"] = new JsonObject() };
            foreach (var pair in own.Select(c => c.Split('=', 2))) body["categories"]![pair[0]] = pair[1];
            if (context.Parsed.GetValue(life) is { } time) body["for"] = time;
            var now = context.Parsed.GetValue(reset)
                ? (await context.Gateway.SendAsync(HttpMethod.Delete, Path, null, ct))!
                : changes ? (await context.Gateway.SendAsync(HttpMethod.Put, Path, body, ct))!
                : await context.Gateway.GetAsync(Path, ct);
            if (context.AsJson)
            {
                await context.PrintJsonAsync(now);
                return;
            }

            var until = now["until"] is { } end ? $" until {end}" : "";
            await context.Out.WriteLineAsync($"{now["level"]}{until} (SLUICE_LOG_LEVEL: {now["setting"]})");
            foreach (var (name, own1) in now["categories"]!.AsObject())
                await context.Out.WriteLineAsync($"{name} {own1}");
        });
        return command;
    }
}
