using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Sluice.Gateway.Logging;

/// <summary>Holds the log levels of this process. A change applies to all loggers immediately.</summary>
/// <param name="setting">The level of SLUICE_LOG_LEVEL.</param>
public sealed class LogLevelSwitch(LogLevel setting)
    : IOptionsChangeTokenSource<LoggerFilterOptions>, IConfigureOptions<LoggerFilterOptions>, IDisposable
{
    private volatile LogLevels current = LogLevels.None;
    private CancellationTokenSource changed = new();

    /// <summary>The level of SLUICE_LOG_LEVEL.</summary>
    public LogLevel Setting => setting;

    /// <summary>What is set.</summary>
    public LogLevels Current => current;

    string? IOptionsChangeTokenSource<LoggerFilterOptions>.Name => Options.DefaultName;

    /// <summary>Replaces the levels.</summary>
    public void Apply(LogLevels levels)
    {
        current = levels;
        using var old = Interlocked.Exchange(ref changed, new CancellationTokenSource());
        old.Cancel();
    }

    public IChangeToken GetChangeToken() => new CancellationChangeToken(Volatile.Read(ref changed).Token);

    public void Configure(LoggerFilterOptions options) => current.Configure(options, setting);

    public void Dispose() => changed.Dispose();
}
