using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;

namespace Sluice.Core.Workers;

/// <summary>Workers that an endpoint should have more, and that need devices.</summary>
/// <param name="Deployment">The endpoint and its template, whose <see cref="Template.Gpu"/> is not null.</param>
/// <param name="Fingerprint">What they are started from.</param>
/// <param name="Epoch">Of the leader that decided it.</param>
/// <param name="Count">How many.</param>
/// <param name="Because">Why so many.</param>
/// <param name="Replaceable">Ready pods of an earlier declaration that may make room, the idlest first; empty: none, or one is on its way out.</param>
internal sealed record GpuOrder(Deployment Deployment, string Fingerprint, long Epoch, int Count, string Because, IReadOnlyList<string> Replaceable)
{
    public string EndpointId => Deployment.Endpoint.Id;
}

/// <summary>
/// The leader's account of devices: who has which, who waits for some. Its owner is the reconciler's loop; it is used by nobody else. What a pod has is
/// claimed in Redis, and brought to what really runs at each look at its endpoint.
/// </summary>
internal sealed class GpuDesk(GpuInventory inventory, GpuStore store)
{
    /// <summary>More memory than any GPU has, MiB.</summary>
    private const long Enough = 1L << 40;

    private readonly Dictionary<string, GpuHolding> claims = [];
    private readonly Dictionary<string, GpuOrder> orders = [];
    private long epoch;

    /// <summary>Reads the claims anew; what an earlier lead of this gateway left here is forgotten.</summary>
    public async Task RefreshAsync(long leads, CancellationToken ct)
    {
        if (leads != epoch) orders.Clear();
        epoch = leads;
        claims.Clear();
        foreach (var claim in await store.ListAsync(ct)) claims[claim.PodId] = claim;
    }

    /// <summary>Brings an endpoint's claims to the pods that it has; returns those whose claim was lost and cannot be had again, because another pod was
    /// given the device.</summary>
    public async Task<IReadOnlyList<string>> SettleAsync(string endpointId, IReadOnlyList<Pod> pods, CancellationToken ct)
    {
        var living = pods.Where(p => p.State != PodState.Failed).ToDictionary(p => p.Id);
        var gone = claims.Values.Where(c => c.EndpointId == endpointId && !living.ContainsKey(c.PodId)).Select(c => c.PodId).ToList();
        if (gone.Count > 0) await ReleaseAsync(gone, ct);
        var robbed = new List<string>();
        foreach (var pod in living.Values.Where(p => p.Devices is { Count: > 0 } && !claims.ContainsKey(p.Id)))
        {
            // A device that is not in this inventory (another machine's, or not read yet) is not found too small.
            if (await store.ClaimAsync(pod.Holding, uuid => MemoryOf(uuid) ?? Enough, ct) is null) claims[pod.Id] = pod.Holding;
            else robbed.Add(pod.Id);
        }

        return robbed;
    }

    /// <summary>Notes what an endpoint wants; its earlier want is void.</summary>
    public void Want(GpuOrder order) => orders[order.EndpointId] = order;

    /// <summary>Whether an endpoint wants something.</summary>
    public bool Wants(string endpointId) => orders.ContainsKey(endpointId);

    /// <summary>An endpoint wants nothing (more).</summary>
    public void Withdraw(string endpointId) => orders.Remove(endpointId);

    /// <summary>So many of what an endpoint wants are started.</summary>
    public void Started(GpuOrder order, int count)
    {
        if (count < order.Count) orders[order.EndpointId] = order with { Count = order.Count - count };
        else orders.Remove(order.EndpointId);
    }

    /// <summary>What every endpoint that wants something would get now.</summary>
    /// <param name="own">Pods of this host, should their claims have been lost.</param>
    public IReadOnlyList<(GpuOrder Order, IReadOnlyList<Placed> Placed)> Place(IEnumerable<GpuHolding> own)
    {
        // Before the first reading nobody knows whether anything fits: nobody is told that it never will.
        if (orders.Count == 0 || !inventory.Loaded.IsCompleted) return [];
        var wishes = orders.Values.OrderBy(o => o.EndpointId, StringComparer.Ordinal).SelectMany(WishesOf).ToList();
        return [.. Placement.Place(inventory.Current, Holdings(own), wishes).GroupBy(p => p.Request.EndpointId)
            .Select(g => (orders[g.Key], (IReadOnlyList<Placed>)[.. g]))];
    }

    /// <summary>Who has what.</summary>
    public IReadOnlyList<GpuHolding> Holdings(IEnumerable<GpuHolding> own) => [.. claims.Values, .. own.Where(o => !claims.ContainsKey(o.PodId))];

    /// <summary>Makes devices a pod's own; false: another has them, and the claims were read anew.</summary>
    public async Task<bool> ClaimAsync(GpuHolding holding, CancellationToken ct)
    {
        var taken = await store.ClaimAsync(holding, uuid => MemoryOf(uuid) ?? 0, ct);
        if (taken is not null)
        {
            await RefreshAsync(epoch, ct);
            return false;
        }

        claims[holding.PodId] = holding;
        return true;
    }

    public async Task ReleaseAsync(IReadOnlyList<string> podIds, CancellationToken ct)
    {
        await store.ReleaseAsync(podIds, ct);
        foreach (var pod in podIds) claims.Remove(pod);
    }

    /// <summary>Idle workers of lower priority that would have to go so that an order's next worker gets its devices.</summary>
    /// <param name="order">What was refused.</param>
    /// <param name="keepers">What the leader remembers of every endpoint.</param>
    /// <param name="own">Pods of this host.</param>
    public IReadOnlyList<SparePod> Reclaimable(GpuOrder order, IReadOnlyCollection<EndpointKeeper> keepers, IEnumerable<GpuHolding> own)
    {
        var leaving = keepers.SelectMany(k => k.Leaving).ToHashSet();
        return Reclaim.Choose(inventory.Current, [.. Holdings(own).Where(h => !leaving.Contains(h.PodId))], WishesOf(order).First(),
            [.. keepers.SelectMany(k => k.Spare).Where(p => !leaving.Contains(p.PodId))]);
    }

    private long? MemoryOf(string uuid) => inventory.Current.Gpus.FirstOrDefault(g => g.Uuid == uuid && g.MemoryMiB > 0)?.MemoryMiB;

    private static IEnumerable<GpuWish> WishesOf(GpuOrder order) => Enumerable.Repeat(new GpuWish
    {
        // Told to those who are refused for its sake.
        Id = $"a new worker of {order.EndpointId}",
        EndpointId = order.EndpointId,
        Needs = order.Deployment.Template.Gpu!,
        Priority = order.Deployment.Endpoint.Placement.Priority,
        Weight = order.Deployment.Endpoint.Placement.Weight,
    }, order.Count);
}
