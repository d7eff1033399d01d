using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Placement;

/// <summary>
/// Holds the allocation state of all devices during one call of <see cref="PlacementPlanner.Place"/>.
/// </summary>
internal sealed class PlacementState
{
    private readonly InventoryLayout layout;
    private readonly State[] states;
    private readonly int[] freeIn;
    private readonly Dictionary<string, double> held = [];
    private readonly Dictionary<GpuRequirements, IReadOnlyList<IReadOnlyList<DeviceKind>>> tiers =
        new(ReferenceEqualityComparer.Instance);

    private readonly Dictionary<GpuRequirements, PlacementRefusal> refused = new(ReferenceEqualityComparer.Instance);
    private readonly List<GpuRequest> waiting = [];

    public PlacementState(Inventory inventory, IReadOnlyList<GpuAllocation> running)
    {
        Inventory = inventory;
        layout = InventoryLayout.GetOrCreate(inventory);
        states = new State[layout.Devices.Count];
        freeIn = new int[layout.GroupCount];
        foreach (var device in layout.Devices)
        {
            states[device.Order].LeftMiB = device.Kind.MemoryMiB;
            if (!device.Kind.Cut && IsFree(device)) Count(device, 1);
        }

        foreach (var pod in running)
            foreach (var device in pod.Devices)
                if (layout.Find(device.Uuid) is { } known)
                    Allocate(known, pod.EndpointId, pod.PodId, device.ShareMiB);
    }

    public Inventory Inventory { get; }

    public IReadOnlyList<DeviceKind> Kinds => layout.Kinds;

    /// <summary>Whether the GPUs are on more than one node.</summary>
    public bool HasSeveralNodes => Inventory.Gpus.Any(g => g.Node != Inventory.Gpus[0].Node);

    /// <summary>Returns the GPU memory of an endpoint's pods in MiB.</summary>
    public double HeldMiB(string endpointId) => held.GetValueOrDefault(endpointId);

    /// <summary>Returns the number of devices of a kind that can be allocated now.</summary>
    public int FreeOf(DeviceKind kind) => kind.Nodes.Sum(n => freeIn[n.Id]);

    /// <summary>Returns the allocation state of a device.</summary>
    public State GetState(Device device) => states[device.Order];

    /// <summary>Whether the whole device can be allocated now.</summary>
    public bool IsFree(Device device) =>
        states[device.Order] is { Users: null, KeptFor: null } && device.Gpu.Fault is null;

    /// <summary>
    /// Whether a machine has this many devices of a kind that are all connected by NVLinks, allocated or not.
    /// </summary>
    public bool AreLinked(DeviceKind kind, int count) => kind.Nodes.Any(n => n.Devices.Count >= count
        && layout.Connections.Best(n.Devices, count, LeftBehind).Rank >= GpuTopology.NvLink);

    /// <summary>Allocates devices for a request, or returns why it is refused.</summary>
    public Placed Place(GpuRequest request)
    {
        // A refusal is valid until devices are reserved for others, because no device is released during a placement.
        if (!refused.TryGetValue(request.Needs, out var why))
        {
            if (Find(request.Needs) is { } found)
            {
                foreach (var device in found)
                    Allocate(device, request.EndpointId, request.Id, ShareOf(request.Needs, device.Kind));
                var devices = found.Select(d => new HeldDevice(d.Uuid, ShareOf(request.Needs, d.Kind)));
                return new Placed(request, [.. devices], null) { Node = found[0].Gpu.Node };
            }

            refused[request.Needs] = why = RefusalText.Create(this, request.Needs, TiersOf(request.Needs));
        }

        if (request.Needs.Count > 1 && !why.Never) waiting.Add(request);
        return new Placed(request, [], why);
    }

    /// <summary>
    /// Ends a priority: reserves the free devices of machines for which refused requests for several devices wait,
    /// against requests of lower priorities.
    /// </summary>
    public void Reserve()
    {
        foreach (var request in waiting)
        {
            var node = TiersOf(request.Needs).SelectMany(t => t).SelectMany(k => k.Nodes)
                .Where(n => n.Devices.Count >= request.Needs.Count)
                .MaxBy(n => freeIn[n.Id]);
            foreach (var device in node?.Devices.Where(IsFree).Take(request.Needs.Count).ToList() ?? [])
            {
                states[device.Order].KeptFor = request.EndpointId;
                Count(device, -1);
            }
        }

        waiting.Clear();
        refused.Clear();
    }

    /// <summary>
    /// Returns the kinds that satisfy the requirements: by preference of type, then the best fit first.
    /// </summary>
    private IReadOnlyList<IReadOnlyList<DeviceKind>> TiersOf(GpuRequirements needs)
    {
        if (tiers.TryGetValue(needs, out var found)) return found;
        return tiers[needs] =
        [
            .. Kinds.Where(k => RequirementMatcher.Meets(needs, k))
                .GroupBy(k => RequirementMatcher.Preference(needs, k))
                .OrderBy(g => g.Key)
                .Select(g => g.OrderBy(k => k.Confidential != ConfidentialState.Off && !needs.Confidential)
                    .ThenBy(k => k.MemoryMiB)
                    .ThenBy(k => k.Profile?.Compute)
                    .ThenBy(k => k.ComputeCapability)
                    .ThenBy(k => k.Name, StringComparer.Ordinal)
                    .ToList()),
        ];
    }

    private IReadOnlyList<Device>? Find(GpuRequirements needs)
    {
        foreach (var tier in TiersOf(needs))
        {
            var found = needs.Share is { } share ? FindShare(tier, share)
                : needs.Count > 1 ? FindSeveral(tier, needs)
                : FindOne(tier);
            if (found is not null) return found;
        }

        return null;
    }

    /// <summary>
    /// Returns a device of the first kind with a free one, from the group with the fewest free devices.
    /// </summary>
    private IReadOnlyList<Device>? FindOne(IReadOnlyList<DeviceKind> tier)
    {
        foreach (var kind in tier)
        {
            DeviceGroup? least = null;
            foreach (var group in kind.Groups)
                if (freeIn[group.Id] > 0 && (least is null || freeIn[group.Id] < freeIn[least.Id])) least = group;
            if (least is not null) return [least.Devices.First(IsFree)];
        }

        return null;
    }

    /// <summary>Returns the shared GPU on which the least memory is left afterwards, otherwise an unused GPU.</summary>
    private IReadOnlyList<Device>? FindShare(IReadOnlyList<DeviceKind> tier, MemoryShare share)
    {
        (Device Device, long Over)? best = null;
        foreach (var kind in tier)
        {
            var wanted = share.ToMiB(kind.MemoryMiB);
            foreach (var device in kind.Devices)
            {
                ref var state = ref states[device.Order];
                var isShared = state.Users is not null && !state.Whole && state.KeptFor is null;
                if (!isShared || state.LeftMiB < wanted || device.Gpu.Fault is not null) continue;
                if (best is null || state.LeftMiB - wanted < best.Value.Over)
                    best = (device, state.LeftMiB - wanted);
            }
        }

        return best is { } b ? [b.Device] : FindOne(tier);
    }

    /// <summary>
    /// Returns GPUs connected by NVLinks if possible. Then the best fitting kind decides, and within a kind the best
    /// weakest connection.
    /// </summary>
    private IReadOnlyList<Device>? FindSeveral(IReadOnlyList<DeviceKind> tier, GpuRequirements needs)
    {
        (IReadOnlyList<Device>? Devices, bool Linked) best = (null, false);
        foreach (var kind in tier)
        {
            if (FindSeveral(kind, needs) is not { } found) continue;
            var linked = found.Rank >= GpuTopology.NvLink;
            if (best.Devices is null || (linked && !best.Linked)) best = (found.Devices, linked);
        }

        return best.Devices;
    }

    private (IReadOnlyList<Device> Devices, int Rank)? FindSeveral(DeviceKind kind, GpuRequirements needs)
    {
        (IReadOnlyList<Device> Devices, int Rank, int Sum)? best = null;
        foreach (var node in FullestFirst(kind, needs.Count))
        {
            var found = layout.Connections.Best([.. node.Devices.Where(IsFree)], needs.Count, LeftBehind);
            if (needs.NvLink && found.Rank < GpuTopology.NvLink) continue;
            if (best is null || (found.Rank, found.Sum).CompareTo((best.Value.Rank, best.Value.Sum)) > 0)
                best = found;
            // No machine has a better connection, and this machine is the fullest one.
            if (best.Value.Rank == kind.BestRank) break;
        }

        return best is { } b ? (b.Devices, b.Rank) : null;
    }

    /// <summary>
    /// Returns machines with at least this many free devices of a kind, those with the fewest free devices first.
    /// </summary>
    private IEnumerable<DeviceGroup> FullestFirst(DeviceKind kind, int least)
    {
        var most = 0;
        foreach (var node in kind.Nodes) most = Math.Max(most, freeIn[node.Id]);
        for (var free = least; free <= most; free++)
            foreach (var node in kind.Nodes)
                if (freeIn[node.Id] == free) yield return node;
    }

    private int LeftBehind(DeviceGroup group) => freeIn[group.Id];

    private static long? ShareOf(GpuRequirements needs, DeviceKind kind) => needs.Share?.ToMiB(kind.MemoryMiB);

    private void Allocate(Device device, string endpointId, string podId, long? shareMiB)
    {
        if (IsFree(device) && !device.Kind.Cut) Count(device, -1);
        ref var state = ref states[device.Order];
        (state.Users ??= []).Add(podId);
        state.Whole |= shareMiB is null;
        state.LeftMiB = shareMiB is { } share ? state.LeftMiB - share : 0;
        held[endpointId] = held.GetValueOrDefault(endpointId) + (shareMiB ?? device.Kind.MemoryMiB);
    }

    private void Count(Device device, int by)
    {
        freeIn[device.Group.Id] += by;
        freeIn[device.Node.Id] += by;
    }

    /// <summary>The allocation state of a device.</summary>
    internal record struct State
    {
        /// <summary>Pods that use the device or a part of it; null if there is none.</summary>
        public List<string>? Users { get; set; }

        /// <summary>Unallocated memory in MiB.</summary>
        public long LeftMiB { get; set; }

        /// <summary>Whether one pod uses the device exclusively.</summary>
        public bool Whole { get; set; }

        /// <summary>The endpoint of higher priority that the device is reserved for; null if there is none.</summary>
        public string? KeptFor { get; set; }
    }
}
