using Sluice.Worker.Logging;
using Sluice.Worker.Runtime;

namespace Sluice.Worker;

/// <summary>The last line of a worker that cannot serve: one line, never empty. Pure.</summary>
internal static class FinalLine
{
    public static string Of(Exception error)
    {
        var text = LogLine.Of(RunError.Clean(error.Message));
        return error is InvalidOperationException or IOException && text.Length > 0 ? text : $"{error.GetType().Name}: {text}";
    }
}
