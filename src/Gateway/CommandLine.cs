using System.Reflection;

namespace Sluice.Gateway;

/// <summary>The program's arguments. Settings are environment variables, so there are few.</summary>
internal static class CommandLine
{
    private const int WrongUsage = 2;

    private const string Usage = """
        Usage: Sluice.Gateway             start the gateway; its settings are environment variables, listed in README.md
               Sluice.Gateway health      ask the gateway that runs with these settings whether it is ready; exit code 0 or 1
               Sluice.Gateway --help      print this text
               Sluice.Gateway --version   print the version
        """;

    /// <summary>What the arguments ask to print; null: they ask for something else.</summary>
    public static CommandLineAnswer? Answer(string[] args) => args switch
    {
        [] or ["health"] => null,
        ["--help" or "-h" or "help"] => new CommandLineAnswer(Usage, 0),
        ["--version" or "version"] => new CommandLineAnswer($"Sluice {Version}", 0),
        _ => new CommandLineAnswer($"sluice: the arguments are '{string.Join(' ', args)}'; expected none, or one of health, --help, --version\n\n{Usage}", WrongUsage),
    };

    private static string Version =>
        typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "of an unknown version";
}

/// <summary>A text to print and the exit code; an error is printed to standard error.</summary>
internal sealed record CommandLineAnswer(string Text, int ExitCode)
{
    /// <summary>Prints it; the exit code.</summary>
    public async Task<int> WriteAsync()
    {
        await (ExitCode == 0 ? Console.Out : Console.Error).WriteLineAsync(Text);
        return ExitCode;
    }
}
