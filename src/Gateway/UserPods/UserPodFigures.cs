using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Domain.Usage;
using Sluice.Domain.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>The costs of pods with the prices in force, and what the pods use. Unknown values are null. Pure.</summary>
/// <param name="prices">The prices.</param>
/// <param name="inventory">The GPUs of all nodes.</param>
/// <param name="used">The last measurements, by pod.</param>
/// <param name="now">The time of the response.</param>
public sealed class UserPodFigures(
    PriceTable prices,
    Inventory inventory,
    IReadOnlyDictionary<string, UserPodUtilization> used,
    DateTimeOffset now)
{
    /// <summary>The time of the response.</summary>
    public DateTimeOffset Now => now;

    /// <summary>The currency of costs; null: there are no prices.</summary>
    public string? Currency => prices.Currency.Length > 0 ? prices.Currency : null;

    /// <summary>Returns the cost of an hour of a pod now; 0: it holds nothing. Null: no price is known.</summary>
    public double? CostOf(UserPodEntry entry)
    {
        var state = entry.State;
        if (!state.IsUp && state.Devices.Count == 0) return 0;
        var devices = state.Devices.Select(d => new HeldDevice(d, state.ShareMiB)).ToList();
        return prices.PerHour(GpuUse.Describe(inventory, devices), now) is { } price ? Math.Round(price, 6) : null;
    }

    /// <summary>Returns what a pod uses; null: it does not run, or nothing is known.</summary>
    public UserPodUtilization? UtilizationOf(UserPodEntry entry) =>
        entry.State.IsUp && used.GetValueOrDefault(entry.Pod.Id) is { } last && last.IsCurrent(now) ? last : null;
}
