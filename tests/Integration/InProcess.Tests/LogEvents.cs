using System.Globalization;
using Microsoft.Extensions.Logging;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Collects the log entries of a gateway in this process.</summary>
public sealed class LogEvents : ILoggerProvider
{
    private readonly List<LogEvent> entries = [];
    private readonly List<string> messages = [];

    /// <summary>All messages so far, with exceptions.</summary>
    public string Text
    {
        get
        {
            lock (entries) return string.Join('\n', messages);
        }
    }

    /// <summary>The entries so far.</summary>
    public IReadOnlyList<LogEvent> Entries
    {
        get
        {
            lock (entries) return [.. entries];
        }
    }

    /// <summary>Waits for the first entry with this event name and these fields.</summary>
    public Task<LogEvent> EventAsync(string name, params (string Name, string Value)[] fields) =>
        EventAsync(e => e.Is(name, fields), name);

    /// <summary>Waits for the first entry that fits.</summary>
    public async Task<LogEvent> EventAsync(Func<LogEvent, bool> fits, string what) =>
        (await Eventually.BecomesAsync(() => Task.FromResult(Entries.FirstOrDefault(fits)), e => e is not null, what))!;

    public ILogger CreateLogger(string categoryName) => new Collector(this);

    public void Dispose()
    {
        // The entries outlive the gateway.
    }

    private sealed class Collector(LogEvents events) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            var fields = new Dictionary<string, string>();
            foreach (var (name, value) in state as IReadOnlyList<KeyValuePair<string, object?>> ?? [])
                fields[name] = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
            lock (events.entries)
            {
                events.entries.Add(new LogEvent(eventId.Name ?? "", fields));
                events.messages.Add($"{formatter(state, exception)} {exception}");
            }
        }
    }
}
