using System.CommandLine;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice scale ENDPOINT</c>: changes how many workers an endpoint may have.</summary>
internal static class ScaleCommand
{
    public static Command Create(Connection connection)
    {
        var endpoint = new Argument<string>("ENDPOINT") { Description = "Id of the endpoint" };
        var min = new Option<int?>("--min") { Description = "Workers that always run" };
        var max = new Option<int?>("--max") { Description = "Largest number of workers" };
        var idle = new Option<string?>("--idle-timeout")
        {
            Description = "Time without demand until they stop, like 60s",
        };
        var command = new Command("scale", "Change the number of workers of an endpoint") { endpoint, min, max, idle };
        command.Validators.Add(result =>
        {
            if (result.GetValue(min) is null && result.GetValue(max) is null && result.GetValue(idle) is null)
                result.AddError("Nothing to change; expected --min, --max or --idle-timeout.");
        });
        connection.SetAction(command, async (context, ct) =>
        {
            var scaling = new JsonObject();
            if (context.Parsed.GetValue(min) is { } least) scaling["min"] = least;
            if (context.Parsed.GetValue(max) is { } most) scaling["max"] = most;
            if (context.Parsed.GetValue(idle) is { } timeout) scaling["idleTimeout"] = timeout;
            await EndpointPatch.SendAsync(context, context.Parsed.GetValue(endpoint)!, scaling, ct);
        });
        return command;
    }
}
