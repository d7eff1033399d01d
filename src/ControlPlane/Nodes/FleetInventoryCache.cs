using Sluice.Domain.Gpus;
using Sluice.Domain.Nodes;

namespace Sluice.ControlPlane.Nodes;

/// <summary>
/// Keeps the last merged inventories, so that the layout of the same GPUs is computed once. Inventories are immutable
/// and compared by reference.
/// </summary>
internal sealed class FleetInventoryCache
{
    /// <summary>
    /// Leaders of mixed fleets need one inventory per kind of template, and one per set of nodes with failed starts.
    /// </summary>
    private const int Kept = 8;

    private readonly Lock gate = new();
    private readonly Queue<Entry> entries = [];

    /// <summary>Merges the inventories of nodes, or returns the result for the same ones.</summary>
    public FleetInventory Merge(IReadOnlyList<FleetNode> nodes, IReadOnlySet<string> avoided)
    {
        lock (gate)
        {
            if (entries.FirstOrDefault(e => e.IsOf(nodes, avoided)) is { } known) return known.Merged;
            var merged = FleetInventory.Merge(nodes, avoided);
            if (entries.Count == Kept) entries.Dequeue();
            entries.Enqueue(new Entry([.. nodes.Select(n => (n.HostId, n.Gpus))], avoided, merged));
            return merged;
        }
    }

    private sealed record Entry(
        IReadOnlyList<(string HostId, Inventory Gpus)> Parts,
        IReadOnlySet<string> Avoided,
        FleetInventory Merged)
    {
        public bool IsOf(IReadOnlyList<FleetNode> nodes, IReadOnlySet<string> avoided) =>
            nodes.Count == Parts.Count && avoided.SetEquals(Avoided)
            && nodes.Zip(Parts).All(p => p.First.HostId == p.Second.HostId
                && ReferenceEquals(p.First.Gpus, p.Second.Gpus));
    }
}
