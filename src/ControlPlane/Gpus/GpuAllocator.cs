using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Nodes;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Domain.Usage;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Gpus;

/// <summary>
/// Tracks on the leader which pods hold devices and which endpoints wait for some. Only the reconciler's loop uses it.
/// Claims are stored in Redis, and are compared with the running pods in each round.
/// </summary>
internal sealed class GpuAllocator(FleetNodes nodes, GpuStore store)
{
    /// <summary>More memory than any GPU has, MiB.</summary>
    private const long Enough = 1L << 40;

    private readonly Dictionary<string, GpuAllocation> claims = [];
    private readonly Dictionary<string, PendingGpuStarts> orders = [];
    private long epoch;

    /// <summary>Reads the claims from Redis. Requests of an earlier term of this leader are discarded.</summary>
    /// <param name="leads">The leader's current epoch.</param>
    /// <param name="ct">Cancels the read.</param>
    public async Task RefreshAsync(long leads, CancellationToken ct)
    {
        if (leads != epoch) orders.Clear();
        epoch = leads;
        claims.Clear();
        foreach (var claim in await store.ListAsync(ct)) claims[claim.PodId] = claim;
    }

    /// <summary>Reconciles an endpoint's claims with its pods.</summary>
    /// <returns>
    /// Pods whose claim was lost and cannot be restored, because the device is assigned to another pod.
    /// </returns>
    public async Task<IReadOnlyList<string>> ReconcileClaimsAsync(
        string endpointId,
        IReadOnlyList<Pod> pods,
        CancellationToken ct)
    {
        var living = pods.Where(p => p.State != PodState.Failed).ToDictionary(p => p.Id);
        var gone = claims.Values
            .Where(c => c.EndpointId == endpointId && !living.ContainsKey(c.PodId))
            .Select(c => c.PodId)
            .ToList();
        if (gone.Count > 0) await ReleaseAsync(gone, ct);
        var lost = new List<string>();
        foreach (var pod in living.Values.Where(p => p.Devices is { Count: > 0 } && !claims.ContainsKey(p.Id)))
        {
            // A device that is not in this inventory (another machine's, or not read yet) is assumed to be large
            // enough.
            var taken = await store.ClaimAsync(pod.Holding, uuid => MemoryOf(uuid) ?? Enough, ct);
            if (taken is null) claims[pod.Id] = pod.Holding;
            else lost.Add(pod.Id);
        }

        return lost;
    }

    /// <summary>Stores an endpoint's request, and replaces its earlier one.</summary>
    public void RequestDevices(PendingGpuStarts order) => orders[order.EndpointId] = order;

    /// <summary>Whether an endpoint has a request.</summary>
    public bool HasRequest(string endpointId) => orders.ContainsKey(endpointId);

    /// <summary>Removes an endpoint's request.</summary>
    public void CancelRequest(string endpointId) => orders.Remove(endpointId);

    /// <summary>Subtracts started workers from a request.</summary>
    /// <param name="order">The request.</param>
    /// <param name="count">Number of workers that were started.</param>
    public void RecordStarted(PendingGpuStarts order, int count)
    {
        if (count < order.Count) orders[order.EndpointId] = order with { Count = order.Count - count };
        else orders.Remove(order.EndpointId);
    }

    /// <summary>Returns the devices that each request would get now.</summary>
    /// <param name="own">Pods of this host, which count even if their claims were lost.</param>
    public IReadOnlyList<(PendingGpuStarts Order, IReadOnlyList<Placed> Placed)> Place(IEnumerable<GpuAllocation> own)
    {
        // Until the inventory has been read, it is unknown whether a request can ever be placed, so none is rejected.
        if (orders.Count == 0 || !nodes.Loaded.IsCompleted) return [];
        var running = Holdings(own).ToList();
        var results = new List<(PendingGpuStarts Order, IReadOnlyList<Placed> Placed)>();
        // In a fleet of one kind of host, all templates can run on all nodes, and one call places all requests.
        foreach (var group in orders.Values.OrderBy(o => o.EndpointId, StringComparer.Ordinal)
            .GroupBy(o => nodes.FleetFor(o.Deployment.Template, o.FailingHosts).Inventory)
            .OrderByDescending(g => g.Max(o => o.Deployment.Endpoint.Placement.Priority)).ToList())
        {
            var placed = PlaceAndHold(group.Key, running, group.SelectMany(RequestsOf));
            // A node with failed starts is better than none.
            var refused = placed.Where(p => p.Refusal is not null).GroupBy(AllFor).Where(g => g.Key != group.Key)
                .ToList();
            placed.RemoveAll(p => p.Refusal is not null && AllFor(p) != group.Key);
            foreach (var again in refused)
                placed.AddRange(PlaceAndHold(again.Key, running, again.Select(p => p.Request)));
            results.AddRange(placed.GroupBy(p => p.Request.EndpointId)
                .Select(g => (orders[g.Key], (IReadOnlyList<Placed>)[.. g])));
        }

        return results;

        Inventory AllFor(Placed placed) =>
            nodes.FleetFor(orders[placed.Request.EndpointId].Deployment.Template).Inventory;
    }

    /// <summary>Places requests, and adds their devices to those that are held.</summary>
    private static List<Placed> PlaceAndHold(
        Inventory inventory, List<GpuAllocation> held, IEnumerable<GpuRequest> requests)
    {
        var placed = PlacementPlanner.Place(inventory, held, [.. requests]);
        held.AddRange(placed.Where(p => p.Refusal is null)
            .Select(p => new GpuAllocation(p.Request.Id, p.Request.EndpointId, p.Devices)));
        return [.. placed];
    }

    /// <summary>Returns the devices that each pod holds.</summary>
    /// <param name="own">Pods of this host, which count even if their claims were lost.</param>
    public IReadOnlyList<GpuAllocation> Holdings(IEnumerable<GpuAllocation> own) =>
        [.. claims.Values, .. own.Where(o => !claims.ContainsKey(o.PodId))];

    /// <summary>Claims devices for a pod.</summary>
    /// <returns>False if another pod holds one of them; the claims were then read again.</returns>
    public async Task<bool> ClaimAsync(GpuAllocation holding, CancellationToken ct)
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

    /// <summary>Returns the type and number of devices, as usage is counted.</summary>
    public string DescribeDevices(IReadOnlyList<HeldDevice> devices) =>
        GpuUse.Describe(nodes.Fleet.Inventory, devices);

    /// <summary>Removes the claims of pods.</summary>
    public async Task ReleaseAsync(IReadOnlyList<string> podIds, CancellationToken ct)
    {
        await store.ReleaseAsync(podIds, ct);
        foreach (var pod in podIds) claims.Remove(pod);
    }

    /// <summary>
    /// Returns the idle workers of lower priority that must be drained so that the next worker of a request gets its
    /// devices.
    /// </summary>
    /// <param name="order">The request that could not be placed.</param>
    /// <param name="keepers">The leader's state of every endpoint.</param>
    /// <param name="own">Pods of this host.</param>
    public IReadOnlyList<SparePod> Reclaimable(
        PendingGpuStarts order,
        IReadOnlyCollection<EndpointReconcileState> keepers,
        IEnumerable<GpuAllocation> own)
    {
        var leaving = keepers.SelectMany(k => k.Leaving).ToHashSet();
        var holdings = Holdings(own).Where(h => !leaving.Contains(h.PodId));
        var inventory = nodes.FleetFor(order.Deployment.Template).Inventory;
        return PreemptionPlanner.Choose(inventory, [.. holdings], RequestsOf(order).First(),
            [.. keepers.SelectMany(k => k.Spare).Where(p => !leaving.Contains(p.PodId))]);
    }

    private long? MemoryOf(string uuid) =>
        nodes.Fleet.Inventory.Gpus.FirstOrDefault(g => g.Uuid == uuid && g.MemoryMiB > 0)?.MemoryMiB;

    private static IEnumerable<GpuRequest> RequestsOf(PendingGpuStarts order) => Enumerable.Repeat(new GpuRequest
    {
        // Shown in the refusal of requests that lose their devices to this one.
        Id = $"a new worker of {order.EndpointId}",
        EndpointId = order.EndpointId,
        Needs = order.Deployment.Template.Gpu!,
        Priority = order.Deployment.Endpoint.Placement.Priority,
        Weight = order.Deployment.Endpoint.Placement.Weight,
    }, order.Count);
}
