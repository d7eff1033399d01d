namespace Sluice.Cli;

/// <summary>The exit codes of <c>sluice</c>.</summary>
internal static class ExitCodes
{
    /// <summary>The command succeeded.</summary>
    public const int Done = 0;

    /// <summary>The gateway refused the request, or a check failed.</summary>
    public const int Refused = 1;

    /// <summary>The arguments are not valid.</summary>
    public const int WrongUsage = 2;

    /// <summary>The gateway did not respond.</summary>
    public const int NoResponse = 3;

    /// <summary>The user interrupted the command: 128 and the number of SIGINT.</summary>
    public const int Interrupted = 130;
}
