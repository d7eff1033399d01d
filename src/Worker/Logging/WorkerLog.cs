using Microsoft.Extensions.Logging;

namespace Sluice.Worker.Logging;

/// <summary>
/// The worker's log: a line an entry, <c>time level Part: text</c>, errors and warnings to the error output. What is written may change
/// at any time; the owner of those settings. Kestrel's own logs go through it too.
/// </summary>
internal sealed class WorkerLog(TextWriter output, TextWriter errors, TimeProvider time) : ILoggerFactory
{
    private readonly Lock gate = new();
    private volatile LogSettings settings = new();

    /// <summary>To this process' output.</summary>
    public static WorkerLog OfProcess() => new(Console.Out, Console.Error, TimeProvider.System);

    public LogSettings Settings => settings;

    /// <summary>Changes the settings; what is written next follows them.</summary>
    public LogSettings Change(Func<LogSettings, LogSettings> change)
    {
        lock (gate) return settings = change(settings);
    }

    public bool Logs(LogLevel level) => settings.Logs(level);

    public void Info(string part, string text) => Write(LogLevel.Information, part, text);

    public void Error(string part, string text) => Write(LogLevel.Error, part, text);

    public void Write(LogLevel level, string part, string text)
    {
        if (settings.Logs(level)) Put(level, part, text);
    }

    /// <summary>Written whatever the settings are: somebody asked for just this.</summary>
    public void Always(string part, string text) => Put(LogLevel.Information, part, text, int.MaxValue);

    public ILogger CreateLogger(string categoryName) => new OfKestrel(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("the worker's log goes to its output only");

    public void Dispose()
    {
        // The outputs are the process' own.
    }

    private void Put(LogLevel level, string part, string text, int most = LogLine.MaxText) =>
        (level >= LogLevel.Warning ? errors : output).WriteLine($"{settings.Stamp(time.GetUtcNow())} {Name(level)} {part}: {LogLine.Of(text, most)}");

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => "debug",
        LogLevel.Information => "info ",
        LogLevel.Warning => "warn ",
        _ => "error",
    };

    /// <summary>What Kestrel says is about connections and frames: for who asked for the most, whatever Kestrel's own level is.</summary>
    private sealed class OfKestrel(WorkerLog log, string part) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => log.Logs(LogLevel.Trace);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            var text = formatter(state, exception);
            log.Put(LogLevel.Debug, part, exception is null ? text : $"{text} {exception.GetType().Name}: {exception.Message}");
        }
    }
}
