using Sluice.Shared;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Parses the command-line arguments. The gateway is configured with environment variables, so there are few arguments.
/// </summary>
internal static class CommandLine
{
    private const int WrongUsage = 2;

    private const string Usage = """
        Usage: Sluice.Gateway             Start the gateway. Settings: docs/reference/gateway-environment.md.
               Sluice.Gateway health      Check whether the gateway with these settings is ready. Exit code 0 or 1.
               Sluice.Gateway --help      Print this text.
               Sluice.Gateway --version   Print the version.
        """;

    /// <summary>Returns the text to print for help, version and invalid arguments.</summary>
    /// <param name="args">The arguments of the process.</param>
    /// <returns>Null if the arguments start the gateway or the health check.</returns>
    public static CommandLineAnswer? Answer(string[] args) => args switch
    {
        [] or ["health"] => null,
        ["--help" or "-h" or "help"] => new CommandLineAnswer(Usage, 0),
        ["--version" or "version"] => new CommandLineAnswer($"Sluice {ProductVersion.Full}", 0),
        _ => new CommandLineAnswer($"sluice: the arguments are '{string.Join(' ', args)}'; "
            + $"expected none, or one of health, --help, --version.\n\n{Usage}", WrongUsage),
    };
}

/// <summary>A text to print and the exit code of the process. An error is printed to standard error.</summary>
internal sealed record CommandLineAnswer(string Text, int ExitCode)
{
    /// <summary>Prints the text and returns the exit code.</summary>
    public async Task<int> WriteAsync()
    {
        await (ExitCode == 0 ? Console.Out : Console.Error).WriteLineAsync(Text);
        return ExitCode;
    }
}
