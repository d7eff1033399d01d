namespace Sluice.Shared;

/// <summary>Describes exit codes in words.</summary>
public static class ExitCode
{
    /// <summary>Signals by number, as a shell reports them (128 + number).</summary>
    private static readonly Dictionary<int, string> Signals = new()
    {
        [4] = "SIGILL",
        [6] = "SIGABRT",
        [7] = "SIGBUS",
        [8] = "SIGFPE",
        [9] = "SIGKILL",
        [11] = "SIGSEGV",
        [15] = "SIGTERM",
    };

    /// <summary>Returns the signal's name if the code is that of a known signal, else the number.</summary>
    public static string Describe(int code) =>
        code > 128 && Signals.TryGetValue(code - 128, out var signal) ? $"ended by {signal}" : $"exit code {code}";
}
