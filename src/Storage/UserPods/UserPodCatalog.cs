using Microsoft.Extensions.Logging;
using Sluice.Domain.UserPods;
using Sluice.Storage.Background;
using Sluice.Storage.Redis;

namespace Sluice.Storage.UserPods;

/// <summary>Keeps the pods of this gateway in sync with Redis.</summary>
public sealed class UserPodCatalog(
    RedisStore redis, UserPodStore store, TimeProvider time, ILogger<UserPodCatalog> logger)
    : RedisWatcher(redis, UserPodStore.Channel, time, logger)
{
    private volatile Snapshot snapshot = new(null, [], new Dictionary<string, UserPodEntry>());

    /// <summary>Raised after the pods were replaced.</summary>
    public event Action? Changed;

    /// <summary>All pods, the oldest first; terminated ones that are still stored included.</summary>
    public IReadOnlyList<UserPodEntry> All => snapshot.Pods;

    /// <summary>Whether the pods were read at least once.</summary>
    public bool Loaded => snapshot.Version is not null;

    /// <summary>Returns a pod as of the last read; null: it does not exist.</summary>
    public UserPodEntry? Find(string id) => snapshot.ById.GetValueOrDefault(id);

    /// <summary>Returns a pod as Redis has it now; null: it does not exist.</summary>
    public async Task<UserPodEntry?> FindAsync(string id, CancellationToken ct)
    {
        if (!UserPodRules.IsId(id)) return null;
        await RefreshAsync(ct);
        return Find(id);
    }

    protected override async Task ReadAsync(CancellationToken ct)
    {
        if (await store.ReadAsync(snapshot.Version, ct) is not { } read) return;
        snapshot = new Snapshot(read.Version, read.Pods, read.Pods.ToDictionary(p => p.Pod.Id));
        Changed?.Invoke();
    }

    private sealed record Snapshot(
        string? Version, IReadOnlyList<UserPodEntry> Pods, IReadOnlyDictionary<string, UserPodEntry> ById);
}
