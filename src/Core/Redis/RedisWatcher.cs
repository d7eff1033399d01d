using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Redis;

/// <summary>
/// Keeps something that this gateway holds in memory in step with Redis: a message wakes it, and a poll each second is
/// the net under lost messages. While Redis cannot be asked what is held stays.
/// </summary>
public abstract partial class RedisWatcher(RedisStore redis, string channel, TimeProvider time, ILogger logger) : BackgroundService
{
    private static readonly TimeSpan PollEvery = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim one = new(1);

    /// <summary>Reads again what changed; one at a time.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        await one.WaitAsync(ct);
        try
        {
            await ReadAsync(ct);
        }
        finally
        {
            one.Release();
        }
    }

    public override void Dispose()
    {
        one.Dispose();
        base.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Reads from Redis and replaces what is held.</summary>
    protected abstract Task ReadAsync(CancellationToken ct);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await TryAsync(() => redis.Subscriber.SubscribeAsync(channel, (_, _) => _ = TryAsync(() => RefreshAsync(stoppingToken), stoppingToken)), stoppingToken);
        // Messages were missed, and Redis may have lost its last writes.
        redis.OnReconnected(() => _ = TryAsync(() => RefreshAsync(stoppingToken), stoppingToken));
        using var timer = new PeriodicTimer(PollEvery, time);
        do await TryAsync(() => RefreshAsync(stoppingToken), stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task TryAsync(Func<Task> action, CancellationToken ct)
    {
        try
        {
            await action();
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            CannotRead(channel, e.Message);
        }
        catch (OperationCanceledException)
        {
            // Shutdown.
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Channel} cannot be read; what is known stays: {Error}")]
    private partial void CannotRead(string channel, string error);
}
