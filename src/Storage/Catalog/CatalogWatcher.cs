using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Storage.Background;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Catalog;

/// <summary>Keeps the catalog of this gateway in sync with Redis.</summary>
public sealed class CatalogWatcher(
    RedisStore redis, CatalogStore store, TimeProvider time, ILogger<CatalogWatcher> logger)
    : RedisWatcher(redis, CatalogStore.Channel, time, logger)
{
    /// <summary>
    /// Number of remembered replaced versions. A rollback loses a few seconds of writes, which contain few changes of
    /// the catalog.
    /// </summary>
    private const int PastVersions = 100;

    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<string> past = [];
    private volatile CatalogState state = CatalogState.Empty;
    private volatile int rollbacks;
    private volatile bool hasLost;

    /// <summary>Raised after the catalog was replaced.</summary>
    public event Action<EndpointCatalog>? Changed;

    public EndpointCatalog Current => state.Catalog;

    public CatalogState State => state;

    /// <summary>
    /// How often Redis returned a version that was already replaced. Each time, Redis had lost its last writes.
    /// </summary>
    public int Rollbacks => rollbacks;

    /// <summary>
    /// Whether this gateway has read declarations, and Redis has none of them now, because it has lost its data. The
    /// manifest or an operator restores them. (A new Redis without declarations has lost nothing.)
    /// </summary>
    public bool HasLostDeclarations => hasLost;

    /// <summary>Completes when the catalog was read for the first time.</summary>
    public Task Loaded => loaded.Task;

    /// <summary>
    /// Returns an endpoint. If this gateway does not know the endpoint, reads the catalog from Redis first: another
    /// gateway may have received the declaration earlier, and a starting gateway knows no endpoint. Returns null if the
    /// endpoint is not declared.
    /// </summary>
    public async Task<Deployment?> FindAsync(string endpointId, CancellationToken ct)
    {
        if (Current.Find(endpointId) is { } known) return known;
        await RefreshAsync(ct);
        return Current.Find(endpointId);
    }

    protected override async Task ReadAsync(CancellationToken ct)
    {
        if (await store.VersionAsync(ct) == state.Version) return;
        var read = await store.ReadAsync(ct, state);
        if (past.Contains(read.Version!)) rollbacks++;
        if (state.Version is { Length: > 0 } replaced) past.Enqueue(replaced);
        if (past.Count > PastVersions) past.Dequeue();
        hasLost = read.IsLost && (hasLost || state.Version is { Length: > 0 });
        state = read;
        loaded.TrySetResult();
        Changed?.Invoke(state.Catalog);
    }
}
