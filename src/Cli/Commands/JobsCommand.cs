using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice jobs</c>: lists, reads, submits, cancels and repeats jobs.</summary>
internal static class JobsCommand
{
    public static Command Create(Connection connection) => new("jobs", "List, read, submit, cancel and repeat jobs")
    {
        List(connection), Submit(connection),
        OfOne(connection, "get", "Print a job", HttpMethod.Get, "status"),
        OfOne(connection, "cancel", "Cancel a waiting or running job", HttpMethod.Post, "cancel"),
        OfOne(connection, "retry", "Queue a failed job again", HttpMethod.Post, "retry"),
    };

    private static Argument<string> Endpoint() => new("ENDPOINT") { Description = "Id of the endpoint" };

    private static string Path(CommandContext context, Argument<string> endpoint, string rest) =>
        $"v2/{Uri.EscapeDataString(context.Parsed.GetValue(endpoint)!)}/{rest}";

    private static Command List(Connection connection)
    {
        var endpoint = Endpoint();
        var status = new Option<string?>("--status") { Description = "Only jobs with this status, like FAILED" };
        var limit = new Option<int>("--limit") { Description = "Number of jobs", DefaultValueFactory = _ => 20 };
        var dead = new Option<bool>("--dead") { Description = "Only dead letters" };
        var command = new Command("ls", "List jobs, newest first") { endpoint, status, limit, dead };
        connection.SetAction(command, async (context, ct) =>
        {
            var query = $"?limit={context.Parsed.GetValue(limit)}"
                + (context.Parsed.GetValue(status) is { } s ? $"&status={Uri.EscapeDataString(s)}" : "");
            var answer = await context.Gateway.GetAsync(Path(context, endpoint,
                (context.Parsed.GetValue(dead) ? "dead-letters" : "requests") + query), ct);
            await context.PrintAsync(answer, () =>
            {
                var table = new Table("JOB", "STATUS", "WAITED MS", "RAN MS", "RETRIES", "WORKER", "ERROR");
                foreach (var j in answer["requests"]!.AsArray())
                    table.Add(j!["id"], j["status"], j["delayTime"], j["executionTime"], j["retries"], j["workerId"],
                        (j["error"] as JsonObject)?["message"] ?? j["error"]);
                return table;
            }, "There are no such jobs.");
        });
        return command;
    }

    private static Command OfOne(Connection connection, string name, string what, HttpMethod method, string verb)
    {
        var endpoint = Endpoint();
        var id = new Argument<string>("JOB") { Description = "Id of the job" };
        var command = new Command(name, what) { endpoint, id };
        connection.SetAction(command, async (context, ct) =>
        {
            var path = Path(context, endpoint, $"{verb}/{Uri.EscapeDataString(context.Parsed.GetValue(id)!)}");
            await context.PrintJsonAsync((await context.Gateway.SendAsync(method, path, null, ct))!);
        });
        return command;
    }

    private static Command Submit(Connection connection)
    {
        var endpoint = Endpoint();
        var input = new Argument<string>("INPUT") { Description = "The input as JSON; - for standard input" };
        var wait = new Option<bool>("--wait") { Description = "Wait for the end, and print the result" };
        var command = new Command("submit", "Submit a job") { endpoint, input, wait };
        connection.SetAction(command, async (context, ct) =>
        {
            var body = new JsonObject { ["input"] = await JsonInput.ReadAsync(context.Parsed.GetValue(input)!, ct) };
            var job = (await context.Gateway.SendAsync(HttpMethod.Post, Path(context, endpoint, "run"), body, ct))!;
            while (context.Parsed.GetValue(wait) && job["status"]?.ToString() is ("IN_QUEUE" or "IN_PROGRESS"))
                job = await context.Gateway.GetAsync(Path(context, endpoint, $"status-sync/{job["id"]}"), ct);
            await context.PrintJsonAsync(job);
            return !context.Parsed.GetValue(wait) || job["status"]?.ToString() == "COMPLETED"
                ? ExitCodes.Done : ExitCodes.Refused;
        });
        return command;
    }
}
