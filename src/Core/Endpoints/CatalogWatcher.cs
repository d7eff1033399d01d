using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>Keeps this gateway's catalog in step with Redis: a message wakes it, a poll is the net under lost ones.</summary>
public sealed partial class CatalogWatcher(RedisStore redis, CatalogStore store, TimeProvider time,
    ILogger<CatalogWatcher> logger) : BackgroundService
{
    private static readonly TimeSpan PollEvery = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim one = new(1);
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile CatalogState state = CatalogState.Empty;

    /// <summary>Raised after the catalog was replaced.</summary>
    public event Action<Catalog>? Changed;

    public Catalog Current => state.Catalog;

    public CatalogState State => state;

    /// <summary>Ends when the catalog was read for the first time.</summary>
    public Task Loaded => loaded.Task;

    /// <summary>Reads the catalog again when its version moved.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        await one.WaitAsync(ct);
        try
        {
            if (await store.VersionAsync(ct) == state.Version) return;
            state = await store.ReadAsync(ct);
            loaded.TrySetResult();
            Changed?.Invoke(state.Catalog);
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
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await TryAsync(() => redis.Subscriber.SubscribeAsync(CatalogStore.Channel,
            (_, _) => _ = TryAsync(() => RefreshAsync(stoppingToken))));
        using var timer = new PeriodicTimer(PollEvery, time);
        do await TryAsync(() => RefreshAsync(stoppingToken));
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task TryAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            CannotRead(e.Message);
        }
    }

    [LoggerMessage(LogLevel.Warning, "The catalog cannot be read; the present one stays: {Error}")]
    private partial void CannotRead(string error);
}
