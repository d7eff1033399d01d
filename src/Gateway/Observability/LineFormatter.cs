using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Formats log entries for people: one line per entry, <c>time level Class: message</c>, in UTC. For machines, use
/// <see cref="JsonLineFormatter"/>. <see cref="LogText"/> escapes and truncates texts. The lines of an exception are
/// indented.
/// </summary>
public sealed class LineFormatter(TimeProvider time) : ConsoleFormatter(FormatName)
{
    public const string FormatName = "line";

    public override void Write<TState>(
        in LogEntry<TState> logEntry,
        IExternalScopeProvider? scopeProvider,
        TextWriter textWriter)
    {
        var category = logEntry.Category;
        textWriter.Write(time.GetUtcNow().ToString("HH:mm:ss.fff ", CultureInfo.InvariantCulture));
        textWriter.Write(logEntry.LogLevel switch
        {
            LogLevel.Trace or LogLevel.Debug => "debug ",
            LogLevel.Information => "info  ",
            LogLevel.Warning => "warn  ",
            _ => "error ",
        });
        textWriter.Write(category.AsSpan(category.LastIndexOf('.') + 1));
        textWriter.Write(": ");
        textWriter.WriteLine(LogText.Line(logEntry.Formatter(logEntry.State, logEntry.Exception)));
        if (logEntry.Exception is { } e) textWriter.WriteLine(LogText.Lines(e.ToString()));
    }
}
