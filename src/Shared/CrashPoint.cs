using System.Diagnostics;

namespace Sluice.Shared;

/// <summary>
/// Terminates this process, as kill -9 does, at a named point between two steps of a job's life cycle. Tests select the
/// point with <c>SLUICE_CRASH_AT</c>. Other processes must recover from the state that the terminated process leaves.
/// </summary>
public static class CrashPoint
{
    private static readonly string? At = Environment.GetEnvironmentVariable("SLUICE_CRASH_AT");

    /// <summary>All crash points, in the order of a job's life cycle.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "before-submit", "after-submit", "after-claim", "after-answer", "after-chunk", "after-end", "after-take",
        "after-delivery",
    ];

    /// <summary>Terminates this process if <c>SLUICE_CRASH_AT</c> selects this crash point.</summary>
    public static void Pass(string name)
    {
        if (At is not null && At == name) Process.GetCurrentProcess().Kill();
    }
}
