using System.Diagnostics;

namespace Sluice.Core;

/// <summary>
/// Places between two steps of a job's way at which a test lets this process die, as by kill -9: <c>SLUICE_CRASH_AT</c> names one.
/// Whatever state that leaves must be recovered by others.
/// </summary>
public static class CrashPoint
{
    private static readonly string? At = Environment.GetEnvironmentVariable("SLUICE_CRASH_AT");

    /// <summary>All of them, in the order of a job's way.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "before-submit", "after-submit", "after-claim", "after-answer", "after-chunk", "after-end", "after-take", "after-delivery",
    ];

    public static void Pass(string name)
    {
        if (At is not null && At == name) Process.GetCurrentProcess().Kill();
    }
}
