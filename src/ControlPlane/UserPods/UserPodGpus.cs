using Sluice.ControlPlane.Machine;
using Sluice.Domain.Placement;
using Sluice.Domain.UserPods;
using Sluice.Storage.Fleet;
using Sluice.Storage.UserPods;

namespace Sluice.ControlPlane.UserPods;

/// <summary>
/// Claims devices for the pods of users, in the same list as those of workers. A pod gets devices that are free; it
/// takes none from a worker, and no worker takes its devices.
/// </summary>
internal sealed class UserPodGpus(GpuInventory inventory, GpuStore store)
{
    /// <summary>
    /// The endpoint id of the claims. It is reserved, so no endpoint's reconciliation changes them.
    /// </summary>
    private const string Owner = "pods";

    /// <summary>More memory than any GPU has, MiB.</summary>
    private const long Enough = 1L << 40;

    /// <summary>
    /// Claims that no pod held at the last comparison. A claim is stored before the state of its pod, so one comparison
    /// may find it between the two.
    /// </summary>
    private IReadOnlySet<string> unheld = new HashSet<string>();

    /// <summary>Claims the devices that a pod requires.</summary>
    /// <returns>The placement, or a refusal in it.</returns>
    public async Task<Placed> AllocateAsync(UserPod pod, CancellationToken ct)
    {
        await inventory.Loaded.WaitAsync(ct);
        var request = new GpuRequest { Id = $"pod {pod.Id}", EndpointId = Owner, Needs = pod.Spec.Gpu! };
        var claims = (await store.ListAsync(ct)).Where(c => c.PodId != ClaimOf(pod.Id)).ToList();
        var placed = PlacementPlanner.Place(inventory.Current, claims, [request])[0];
        if (placed.Refusal is not null) return placed;
        var taken = await store.ClaimAsync(
            new GpuAllocation(ClaimOf(pod.Id), Owner, placed.Devices) { Node = placed.Node },
            MemoryOf, ct);
        return taken is null ? placed : placed with
        {
            Devices = [],
            Refusal = new PlacementRefusal(false, "gpu", $"GPU {taken} was assigned to a worker", ""),
        };
    }

    /// <summary>
    /// Makes the claims equal to what the pods hold: lost claims are restored, and those of pods without devices end at
    /// the second comparison that finds them. Comparisons of one gateway run one after another.
    /// </summary>
    /// <param name="pods">The pods of the node that this gateway controls.</param>
    /// <param name="all">All pods.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>Pods whose lost claim cannot be restored, because another pod has the device.</returns>
    public async Task<IReadOnlyList<string>> ReconcileAsync(
        IEnumerable<UserPodEntry> pods, IReadOnlyList<UserPodEntry> all, CancellationToken ct)
    {
        var claims = (await store.ListAsync(ct)).Where(c => c.EndpointId == Owner).ToDictionary(c => c.PodId);
        var holders = all.Where(p => p.State.Devices.Count > 0).Select(p => ClaimOf(p.Pod.Id)).ToHashSet();
        var without = claims.Keys.Where(c => !holders.Contains(c)).ToHashSet();
        var ended = without.Where(unheld.Contains).ToList();
        unheld = without;
        if (ended.Count > 0) await store.ReleaseAsync(ended, ct);
        var lost = new List<string>();
        foreach (var (pod, state, _) in pods)
        {
            if (state.Devices.Count == 0 || claims.ContainsKey(ClaimOf(pod.Id))) continue;
            var devices = state.Devices.Select(d => new HeldDevice(d, state.ShareMiB)).ToList();
            if (await store.ClaimAsync(new GpuAllocation(ClaimOf(pod.Id), Owner, devices), _ => Enough, ct) is not null)
                lost.Add(pod.Id);
        }

        return lost;
    }

    private static string ClaimOf(string podId) => $"pod-{podId}";

    private long MemoryOf(string uuid) => inventory.Current.Gpus.FirstOrDefault(g => g.Uuid == uuid)?.MemoryMiB ?? 0;
}
