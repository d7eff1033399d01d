using System.CommandLine;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice pause ENDPOINT</c> and <c>sluice resume ENDPOINT</c>.</summary>
internal static class PauseCommand
{
    public static Command Create(Connection connection)
    {
        var endpoint = new Argument<string>("ENDPOINT") { Description = "Id of the endpoint" };
        var refuse = new Option<bool>("--refuse")
        {
            Description = "Reject requests with 503; without it they wait. Jobs wait in both cases",
        };
        var command = new Command("pause", "Drain the workers of an endpoint, and start none") { endpoint, refuse };
        connection.SetAction(command, (context, ct) => EndpointPatch.SendAsync(context,
            context.Parsed.GetValue(endpoint)!,
            new JsonObject { ["pause"] = context.Parsed.GetValue(refuse) ? "REFUSE" : "QUEUE" }, ct));
        return command;
    }

    public static Command CreateResume(Connection connection)
    {
        var endpoint = new Argument<string>("ENDPOINT") { Description = "Id of the endpoint" };
        var command = new Command("resume", "End the pause of an endpoint") { endpoint };
        connection.SetAction(command, (context, ct) => EndpointPatch.SendAsync(context,
            context.Parsed.GetValue(endpoint)!, new JsonObject { ["pause"] = "NONE" }, ct));
        return command;
    }
}
