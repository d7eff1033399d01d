using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Simulator;

/// <summary>
/// Checks allocations with code of its own, not with that of the placement: no device has two users, shares fit into
/// the memory, and each pod has what it requires, on one node.
/// </summary>
/// <param name="inventory">The GPUs.</param>
public sealed class PlacementAudit(Inventory inventory)
{
    private readonly Dictionary<string, (Gpu Gpu, MigSlice? Slice)> devices = inventory.Gpus
        .SelectMany(g => g.Slices.Select(s => (s.Uuid, Gpu: g, Slice: (MigSlice?)s))
            .Append((g.Uuid, Gpu: g, Slice: null)))
        .ToDictionary(d => d.Uuid, d => (d.Gpu, d.Slice));

    private readonly HashSet<(string, string)> nvLinks = [.. inventory.Links.Where(l => l.Kind == LinkKind.NV)
        .SelectMany(l => new[] { (l.A, l.B), (l.B, l.A) })];

    private readonly Dictionary<string, IReadOnlyList<HeldDevice>> pods = [];
    private readonly HashSet<string> exclusive = [];
    private readonly Dictionary<string, long> sharedMiB = [];
    private readonly Dictionary<string, int> inUse = [];
    private readonly Dictionary<string, int> mostInUse = [];

    /// <summary>Largest number of devices in use at one time, by the name of the GPU and the MIG profile.</summary>
    public IReadOnlyDictionary<string, int> MostInUse => mostInUse;

    /// <summary>Records the devices of a pod.</summary>
    /// <exception cref="InvalidOperationException">A rule is broken.</exception>
    public void Take(string pod, GpuRequirements needs, IReadOnlyList<HeldDevice> held)
    {
        Must(held.Count == needs.Count, $"has {held.Count} devices; expected {needs.Count}");
        Must(held.Select(h => devices[h.Uuid].Gpu.Node).Distinct().Count() == 1, "has devices on several nodes");
        foreach (var device in held)
        {
            var (gpu, slice) = devices[device.Uuid];
            var memory = slice?.Profile.MemoryMiB ?? gpu.MemoryMiB;
            Must(slice is not null || !gpu.MigEnabled, $"has a whole GPU in MIG mode: {gpu.Name}");
            Must(needs.Mig is null || slice?.Profile == needs.Mig, $"has no slice of {needs.Mig}");
            Must(needs.Mig is not null || slice is null, "has a slice; expected a whole GPU");
            Must(memory * (1 << 20) >= needs.MinMemory, $"has {memory} MiB; expected {needs.MinMemory} bytes");
            Must(needs.Types.Count == 0 || needs.Types.Contains(GpuModelCatalog.Find(gpu.Name)!.Id),
                $"has {gpu.Name}; expected {string.Join(", ", needs.Types)}");
            Must(!exclusive.Contains(device.Uuid), $"has {device.Uuid}, which another pod has");
            if (device.ShareMiB is { } share)
            {
                Must(needs.Share is not null, "has a share; expected a whole GPU");
                sharedMiB[device.Uuid] = sharedMiB.GetValueOrDefault(device.Uuid) + share;
                Must(sharedMiB[device.Uuid] <= gpu.MemoryMiB, "has a share of a GPU whose memory is used up");
            }
            else
            {
                Must(needs.Share is null, "has a whole GPU; expected a share");
                Must(sharedMiB.GetValueOrDefault(device.Uuid) == 0, "has a GPU of which others have shares");
                exclusive.Add(device.Uuid);
            }

            Count(KindOf(device.Uuid), 1);
        }

        if (needs.NvLink)
            Must(held.All(a => held.All(b => a == b || nvLinks.Contains((a.Uuid, b.Uuid)))),
                "has GPUs without NVLinks");
        pods.Add(pod, held);

        void Must(bool holds, string broken)
        {
            if (!holds) throw new InvalidOperationException($"Pod {pod} {broken}");
        }
    }

    /// <summary>Records that a pod has ended.</summary>
    public void Return(string pod)
    {
        pods.Remove(pod, out var held);
        foreach (var device in held!)
        {
            if (device.ShareMiB is { } share) sharedMiB[device.Uuid] -= share;
            else exclusive.Remove(device.Uuid);
            Count(KindOf(device.Uuid), -1);
        }
    }

    private string KindOf(string uuid) =>
        devices[uuid] is var (gpu, slice) && slice is not null ? $"{gpu.Name} {slice.Profile}" : gpu.Name;

    private void Count(string kind, int more)
    {
        inUse[kind] = inUse.GetValueOrDefault(kind) + more;
        mostInUse[kind] = Math.Max(mostInUse.GetValueOrDefault(kind), inUse[kind]);
    }
}
