using Microsoft.Extensions.Logging;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Background;

/// <summary>
/// Keeps in-memory state of this gateway in sync with Redis. A message triggers a read, and a poll once a second covers
/// lost messages. While Redis is unavailable, the last state stays in use.
/// </summary>
public abstract class RedisWatcher(RedisStore redis, string channel, TimeProvider time, ILogger logger)
    : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan PollEvery = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim one = new(1);
    private readonly TimeProvider time = time;
    private readonly LoopGuard subscribing = new($"Subscribing to {channel}", time, logger);
    private volatile int fault;

    /// <summary>Why the last read failed; <see cref="RedisFault.None"/> if it succeeded.</summary>
    public RedisFault LastFault => (RedisFault)fault;

    /// <summary>Reads the changes from Redis. Concurrent calls run one after another.</summary>
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

    /// <summary>Reads from Redis and replaces the in-memory state.</summary>
    protected abstract Task ReadAsync(CancellationToken ct);

    protected override Task RunAsync(CancellationToken ct)
    {
        // Messages may have been lost, and Redis may have lost its last writes.
        redis.OnReconnected(() => OnMessage(ct));
        return Task.WhenAll(subscribing.RunAsync(SubscribeAsync, ct), PollAsync(ct));
    }

    private Task SubscribeAsync(CancellationToken ct) =>
        redis.SubscribeAsync(channel, _ => OnMessage(ct), ct);

    private void OnMessage(CancellationToken ct) => _ = TryReadAsync(ct);

    private async Task PollAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(PollEvery, time);
        do await TryReadAsync(ct);
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Reads the changes; if that fails, the last state stays in use.</summary>
    private async Task TryReadAsync(CancellationToken ct)
    {
        try
        {
            await RefreshAsync(ct);
            fault = (int)RedisFault.None;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            fault = (int)RedisFaults.Classify(e);
            Failures.Report($"Reading {channel}", e);
        }
        catch (OperationCanceledException)
        {
            // Shutdown.
        }
    }
}
