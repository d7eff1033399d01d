namespace Sluice.Core.Gpus;

/// <summary>A worker that does nothing and is above its endpoint's minimum.</summary>
public sealed record SparePod(string PodId, string EndpointId, int Priority);

/// <summary>Which idle workers have to go so that an endpoint of higher priority gets devices. Pure.</summary>
public static class Reclaim
{
    /// <summary>The fewest that suffice, those of the lowest priority first; none when even all of them would not do, or none needs to.</summary>
    /// <param name="inventory">The GPUs.</param>
    /// <param name="running">Who has what; without those that are leaving already.</param>
    /// <param name="wish">What was refused for want of capacity.</param>
    /// <param name="spare">Workers that could go, those that should go first first.</param>
    public static IReadOnlyList<SparePod> Choose(Inventory inventory, IReadOnlyList<GpuHolding> running, GpuWish wish, IReadOnlyList<SparePod> spare)
    {
        var gone = spare.Where(p => p.Priority < wish.Priority).OrderBy(p => p.Priority).ToList();
        if (gone.Count == 0 || !Fits(gone)) return [];
        foreach (var kept in Enumerable.Reverse(gone).ToList())
            if (Fits([.. gone.Where(p => p != kept)])) gone.Remove(kept);
        return gone;

        bool Fits(List<SparePod> without)
        {
            var ids = without.Select(p => p.PodId).ToHashSet();
            return Placement.Place(inventory, [.. running.Where(r => !ids.Contains(r.PodId))], [wish])[0].Refusal is null;
        }
    }
}
