using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice export</c>: all declarations as a manifest.</summary>
internal static class ExportCommand
{
    public static Command Create(Connection connection)
    {
        var command = new Command("export", "Print all templates and endpoints as a manifest (YAML, or JSON)");
        connection.SetAction(command, async (context, ct) =>
        {
            if (context.AsJson)
                await context.PrintJsonAsync(await context.Gateway.GetAsync("api/v1/declarations?format=json", ct));
            else
                await context.Out.WriteAsync(
                    await context.Gateway.TextAsync(HttpMethod.Get, "api/v1/declarations", null, ct));
        });
        return command;
    }
}
