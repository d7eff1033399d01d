using Sluice.ControlPlane.Nodes;
using Sluice.Domain.Gpus;
using Sluice.Domain.Nodes;
using Sluice.Storage.Usage;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>Reads the costs of pods and what they use.</summary>
public sealed class UserPodFiguresReader(UserPodStore store, UsageLedger ledger, FleetNodes nodes, TimeProvider time)
{
    /// <summary>Reads the figures of some pods.</summary>
    public async Task<UserPodFigures> ReadAsync(IReadOnlyCollection<UserPodEntry> pods, CancellationToken ct)
    {
        var prices = await ledger.PricesAsync(ct);
        // Only the price of a GPU needs its type.
        var needsGpus = prices.Prices.Count > 0 && pods.Any(p => p.State.Devices.Count > 0);
        var inventory = needsGpus
            ? FleetInventory.Merge(await nodes.ReadAsync(ct), new HashSet<string>()).Inventory : new Inventory();
        var used = await store.ReadUtilizationAsync([.. pods.Where(p => p.State.IsUp).Select(p => p.Pod.Id)], ct);
        return new UserPodFigures(prices, inventory, used, time.GetUtcNow());
    }
}
