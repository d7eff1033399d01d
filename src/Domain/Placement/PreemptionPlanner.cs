using Sluice.Domain.Gpus;

namespace Sluice.Domain.Placement;

/// <summary>Chooses the idle workers to stop so that an endpoint of higher priority gets devices. Pure.</summary>
public static class PreemptionPlanner
{
    /// <summary>
    /// Chooses a minimal set of workers, lowest priority first. Returns none if even all of them are not enough, or if
    /// none is needed.
    /// </summary>
    /// <param name="inventory">The GPUs.</param>
    /// <param name="running">The devices of existing pods, without pods that are already stopping.</param>
    /// <param name="request">The request that was refused because no device is free.</param>
    /// <param name="spare">The workers that can be stopped, in order of preference.</param>
    public static IReadOnlyList<SparePod> Choose(
        Inventory inventory, IReadOnlyList<GpuAllocation> running, GpuRequest request, IReadOnlyList<SparePod> spare)
    {
        var gone = spare.Where(p => p.Priority < request.Priority).OrderBy(p => p.Priority).ToList();
        if (gone.Count == 0 || !Fits(gone)) return [];
        foreach (var kept in Enumerable.Reverse(gone).ToList())
            if (Fits([.. gone.Where(p => p != kept)])) gone.Remove(kept);
        return gone;

        bool Fits(List<SparePod> without)
        {
            var ids = without.Select(p => p.PodId).ToHashSet();
            var left = running.Where(r => !ids.Contains(r.PodId));
            return PlacementPlanner.Place(inventory, [.. left], [request])[0].Refusal is null;
        }
    }
}
