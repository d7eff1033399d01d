using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>This gateway's catalog, in step with Redis.</summary>
public sealed class CatalogWatcher(RedisStore redis, CatalogStore store, TimeProvider time, ILogger<CatalogWatcher> logger)
    : RedisWatcher(redis, CatalogStore.Channel, time, logger)
{
    /// <summary>Replaced versions that are remembered. A rollback loses a few seconds, in which a catalog changes a few times.</summary>
    private const int PastVersions = 100;

    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<string> past = [];
    private volatile CatalogState state = CatalogState.Empty;
    private volatile int rollbacks;

    /// <summary>Raised after the catalog was replaced.</summary>
    public event Action<Catalog>? Changed;

    public Catalog Current => state.Catalog;

    public CatalogState State => state;

    /// <summary>How often Redis returned a version that had been replaced before. Each time it had lost its last writes.</summary>
    public int Rollbacks => rollbacks;

    /// <summary>Ends when the catalog was read for the first time.</summary>
    public Task Loaded => loaded.Task;

    /// <summary>An endpoint as it is known here; one that is not, as Redis knows it: another gateway may have heard of it first, and one that starts
    /// knows none. Null: it is not declared.</summary>
    public async Task<Deployment?> FindAsync(string endpointId, CancellationToken ct)
    {
        if (Current.Find(endpointId) is { } known) return known;
        await RefreshAsync(ct);
        return Current.Find(endpointId);
    }

    protected override async Task ReadAsync(CancellationToken ct)
    {
        if (await store.VersionAsync(ct) == state.Version) return;
        var read = await store.ReadAsync(ct);
        if (past.Contains(read.Version!)) rollbacks++;
        if (state.Version is { Length: > 0 } replaced) past.Enqueue(replaced);
        if (past.Count > PastVersions) past.Dequeue();
        state = read;
        loaded.TrySetResult();
        Changed?.Invoke(state.Catalog);
    }
}
