using System.CommandLine;
using Sluice.Cli.Commands;

namespace Sluice.Cli;

/// <summary>The command <c>sluice</c> with all its commands.</summary>
internal static class SluiceCommand
{
    /// <summary>Runs the command, and returns its exit code, one of <see cref="ExitCodes"/>.</summary>
    /// <param name="args">The arguments.</param>
    /// <param name="configuration">Where it prints; null: to the terminal.</param>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, InvocationConfiguration? configuration = null)
    {
        var parsed = Create().Parse(args);
        var code = await parsed.InvokeAsync(configuration);
        return parsed.Errors.Count > 0 ? ExitCodes.WrongUsage : code;
    }

    private static RootCommand Create()
    {
        var connection = new Connection();
        var root = new RootCommand("Operates a gateway of Sluice.")
        {
            ListCommand.Create(connection),
            LogsCommand.Create(connection),
            DeployCommand.Create(connection),
            ExportCommand.Create(connection),
            ScaleCommand.Create(connection),
            PauseCommand.Create(connection),
            PauseCommand.CreateResume(connection),
            JobsCommand.Create(connection),
            KeysCommand.Create(connection),
            UsageCommand.Create(connection),
            BudgetsCommand.Create(connection),
            RunCommand.Create(connection),
            DoctorCommand.Create(connection),
            LogLevelCommand.Create(connection),
            CompletionCommand.Create(),
        };
        root.Options.Add(connection.Url);
        root.Options.Add(connection.KeyFile);
        root.Options.Add(connection.Json);
        return root;
    }
}
