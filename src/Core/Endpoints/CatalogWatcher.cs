using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>This gateway's catalog, in step with Redis.</summary>
public sealed class CatalogWatcher(RedisStore redis, CatalogStore store, TimeProvider time, ILogger<CatalogWatcher> logger)
    : RedisWatcher(redis, CatalogStore.Channel, time, logger)
{
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile CatalogState state = CatalogState.Empty;

    /// <summary>Raised after the catalog was replaced.</summary>
    public event Action<Catalog>? Changed;

    public Catalog Current => state.Catalog;

    public CatalogState State => state;

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
        state = await store.ReadAsync(ct);
        loaded.TrySetResult();
        Changed?.Invoke(state.Catalog);
    }
}
