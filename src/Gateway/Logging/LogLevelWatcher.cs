using Sluice.Storage.Background;
using Sluice.Storage.Logging;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Logging;

/// <summary>Applies the log levels in Redis to this gateway: within a second of a change, and of their end.</summary>
public sealed partial class LogLevelWatcher(RedisStore redis, LogLevelStore store, LogLevelSwitch levels,
    TimeProvider time, ILogger<LogLevelWatcher> logger) : RedisWatcher(redis, LogLevelStore.Channel, time, logger)
{
    private readonly ILogger<LogLevelWatcher> logger = logger;
    private string? applied;

    protected override async Task ReadAsync(CancellationToken ct)
    {
        var (stored, _) = await store.ReadAsync(ct);
        if (stored == applied) return;
        applied = stored;
        levels.Apply(LogLevels.Parse(stored));
        LogLevelChanged(levels.Current.Level ?? levels.Setting, levels.Current.Categories.Count);
    }

    [LoggerMessage(LogLevel.Information, "The log level is {Level}, and that of {Categories} categories is different")]
    private partial void LogLevelChanged(LogLevel level, int categories);
}
