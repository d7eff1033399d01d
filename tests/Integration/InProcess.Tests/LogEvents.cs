using System.Globalization;
using Microsoft.Extensions.Logging;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>A log entry: its event name and its fields.</summary>
public sealed record LogEvent(string Name, IReadOnlyDictionary<string, string> Fields, string Message);

/// <summary>Collects log entries: tests wait for event names and fields.</summary>
public sealed class LogEvents : ILoggerProvider
{
    private readonly List<LogEvent> entries = [];

    /// <summary>The entries so far.</summary>
    public IReadOnlyList<LogEvent> All
    {
        get
        {
            lock (entries) return [.. entries];
        }
    }

    /// <summary>Waits for the first entry with this event name and these fields.</summary>
    /// <param name="name">The name of the method with the <c>LoggerMessage</c> attribute.</param>
    /// <param name="fields">Names and values of fields.</param>
    public async Task<LogEvent> EventAsync(string name, params (string Name, string Value)[] fields)
    {
        var seen = await Eventually.BecomesAsync(
            () => Task.FromResult(All.FirstOrDefault(e => Fits(e, name, fields))), e => e is not null, name);
        return seen!;
    }

    public ILogger CreateLogger(string categoryName) => new Collector(this);

    public void Dispose()
    {
        // The entries outlive the gateway.
    }

    private static bool Fits(LogEvent entry, string name, (string Name, string Value)[] fields) =>
        entry.Name == name && fields.All(f => entry.Fields.GetValueOrDefault(f.Name) == f.Value);

    private void Add(LogEvent entry)
    {
        lock (entries) entries.Add(entry);
    }

    private sealed class Collector(LogEvents events) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            var fields = (state as IReadOnlyList<KeyValuePair<string, object?>> ?? [])
                .GroupBy(f => f.Key)
                .ToDictionary(g => g.Key, g => Convert.ToString(g.First().Value, CultureInfo.InvariantCulture) ?? "");
            events.Add(new LogEvent(eventId.Name ?? "", fields, formatter(state, exception) + exception));
        }
    }
}
