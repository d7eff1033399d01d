using Microsoft.Extensions.Logging;

namespace Sluice.Worker.Logging;

/// <summary>
/// Writes the worker's log, including the log of Kestrel. Each entry is one line, <c>time level Part: text</c>, or
/// <c>time level Part [request id]: text</c> if it belongs to a request. Errors and warnings are written to the error
/// output. Owns the log settings, which can change at any time.
/// </summary>
internal sealed class WorkerLog(TextWriter output, TextWriter errors, TimeProvider time) : ILoggerFactory
{
    private readonly Lock gate = new();
    private volatile LogSettings settings = new();

    /// <summary>Creates a log that writes to the output of this process.</summary>
    public static WorkerLog ForProcess() => new(Console.Out, Console.Error, TimeProvider.System);

    /// <summary>The current settings.</summary>
    public LogSettings Settings => settings;

    /// <summary>Changes the settings for all later lines.</summary>
    public LogSettings Change(Func<LogSettings, LogSettings> change)
    {
        lock (gate) return settings = change(settings);
    }

    /// <summary>Returns whether lines of a level are written.</summary>
    public bool IsEnabled(LogLevel level) => settings.IsEnabled(level);

    /// <summary>Writes a line of level info.</summary>
    public void Info(string part, string text, string? request = null) =>
        Write(LogLevel.Information, part, text, request);

    /// <summary>Writes a line of level error.</summary>
    public void Error(string part, string text, string? request = null) =>
        Write(LogLevel.Error, part, text, request);

    /// <summary>Writes a line if its level is enabled.</summary>
    /// <param name="level">The level.</param>
    /// <param name="part">The part of the worker that writes the line.</param>
    /// <param name="text">The text.</param>
    /// <param name="request">The id of the request that it belongs to (<see cref="RequestIds"/>); null: none.</param>
    public void Write(LogLevel level, string part, string text, string? request = null)
    {
        if (settings.IsEnabled(level)) WriteLine(level, request is null ? part : $"{part} [{request}]", text);
    }

    /// <summary>
    /// Writes a line of unlimited length, independent of the settings. For output that an operator explicitly
    /// requested.
    /// </summary>
    public void WriteAlways(string part, string text) => WriteLine(LogLevel.Information, part, text, int.MaxValue);

    public ILogger CreateLogger(string categoryName) =>
        new KestrelLogger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("The worker writes its log to its output only.");

    public void Dispose()
    {
        // The outputs belong to the process.
    }

    private void WriteLine(LogLevel level, string part, string text, int maxLength = LogLine.MaxText)
    {
        var writer = level >= LogLevel.Warning ? errors : output;
        var stamp = settings.FormatTime(time.GetUtcNow());
        writer.WriteLine($"{stamp} {Name(level)} {part}: {LogLine.Escape(text, maxLength)}");
    }

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => "debug",
        LogLevel.Information => "info ",
        LogLevel.Warning => "warn ",
        _ => "error",
    };

    /// <summary>
    /// Writes the log of Kestrel only if the verbose level is 2 or above, independent of Kestrel's own levels,
    /// because it is about connections and frames.
    /// </summary>
    private sealed class KestrelLogger(WorkerLog log, string part) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => log.IsEnabled(LogLevel.Trace);

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            var text = formatter(state, exception);
            if (exception is not null) text += $" {exception.GetType().Name}: {exception.Message}";
            log.WriteLine(LogLevel.Debug, part, text);
        }
    }
}
