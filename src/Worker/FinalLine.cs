using Sluice.Worker.Logging;
using Sluice.Worker.Runtime;

namespace Sluice.Worker;

/// <summary>Formats the last line of output of a worker that cannot start. Pure.</summary>
internal static class FinalLine
{
    /// <summary>Returns the reason of an error as one line, which is never empty.</summary>
    public static string Format(Exception error)
    {
        var text = LogLine.Escape(RunError.Clean(error.Message));
        return error is InvalidOperationException or IOException && text.Length > 0
            ? text
            : $"{error.GetType().Name}: {text}";
    }
}
