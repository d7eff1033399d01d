namespace Sluice.Cli;

/// <summary>A command failed. The message is printed to standard error.</summary>
/// <param name="message">What failed, and what would be right.</param>
/// <param name="exitCode">The exit code of the process.</param>
internal sealed class CliException(string message, int exitCode) : Exception(message)
{
    /// <summary>The exit code of the process, one of <see cref="ExitCodes"/>.</summary>
    public int ExitCode { get; } = exitCode;
}
