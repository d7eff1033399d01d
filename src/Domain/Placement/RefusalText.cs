using System.Globalization;
using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Placement;

/// <summary>Describes which requirement of a request cannot be satisfied, and what would fit. Pure.</summary>
internal static class RefusalText
{
    /// <summary>Maximum number of devices that are listed; the others are counted.</summary>
    private const int Named = 4;

    /// <summary>Creates the refusal of a request for which no device was found.</summary>
    /// <param name="state">The allocation state.</param>
    /// <param name="needs">The requirements of the request.</param>
    /// <param name="fitting">The kinds that satisfy the requirements, by preference.</param>
    public static PlacementRefusal Create(
        PlacementState state, GpuRequirements needs, IReadOnlyList<IReadOnlyList<DeviceKind>> fitting)
    {
        if (state.Kinds.Count == 0)
            return new PlacementRefusal(true, "gpu",
                $"No GPU was found{(state.Inventory.Error is { } error ? $" ({error})" : "")}", "");
        var kinds = fitting.SelectMany(t => t).ToList();
        return kinds.Count == 0
            ? DescribeMismatch(state.Kinds, needs)
            : DescribeExcess(state, kinds, needs) ?? DescribeShortage(state, kinds, needs);
    }

    /// <summary>
    /// Describes the first requirement that is satisfied by none of the kinds that satisfy all requirements before it.
    /// </summary>
    private static PlacementRefusal DescribeMismatch(IReadOnlyList<DeviceKind> all, GpuRequirements needs)
    {
        var left = all;
        foreach (var part in RequirementMatcher.Parts)
        {
            var next = left.Where(k => part.Meets(needs, k)).ToList();
            if (next.Count == 0)
            {
                var which = left.Count == all.Count ? "GPUs" : "GPUs that match the other fields of gpu";
                return new PlacementRefusal(true, part.Field,
                    $"gpu.{part.Field} requires {part.Wanted(needs)}; none of the {which} matches ({Counted(left)})",
                    part.WouldFit(left));
            }

            left = next;
        }

        throw new InvalidOperationException("A kind satisfies every requirement; expected none.");
    }

    /// <summary>
    /// Describes a request for more GPUs than a machine has of one kind, or than NVLinks connect. Returns null if this
    /// is not the reason.
    /// </summary>
    private static PlacementRefusal? DescribeExcess(
        PlacementState state, IReadOnlyList<DeviceKind> kinds, GpuRequirements needs)
    {
        var (kind, most) = kinds.Select(k => (Kind: k, Most: k.Nodes.Max(n => n.Devices.Count))).MaxBy(k => k.Most);
        if (needs.Count > most)
            return new PlacementRefusal(true, "count",
                Text($"gpu.count requires {needs.Count} GPUs of one kind on one machine; ")
                + Text($"at most {most} match ({kind})"),
                Text($"would fit: count {most}"));
        if (!needs.NvLink || kinds.Any(k => state.AreLinked(k, needs.Count))) return null;
        var linked = Enumerable.Range(2, needs.Count - 2).LastOrDefault(n => kinds.Any(k => state.AreLinked(k, n)));
        var available = linked > 1 ? Text($"at most {linked} are connected") : "no GPUs are connected";
        return new PlacementRefusal(true, "nvLink",
            Text($"gpu.nvLink requires {needs.Count} GPUs that are all connected by NVLinks; {available}"),
            linked > 1 ? Text($"would fit: count {linked}, or without nvLink") : "would fit: without nvLink");
    }

    /// <summary>Describes a request for which enough devices match, but are allocated to other pods.</summary>
    private static PlacementRefusal DescribeShortage(
        PlacementState state, IReadOnlyList<DeviceKind> kinds, GpuRequirements needs)
    {
        var devices = kinds.SelectMany(k => k.Devices);
        var (all, free) = (kinds.Sum(k => k.Devices.Count), kinds.Sum(state.FreeOf));
        var taken = devices.Where(d => !state.IsFree(d)).Take(Named).Select(d => DescribeDevice(state, d)).ToList();
        var rest = all - free - taken.Count;
        var required = needs.Share is { } share ? $"{share} of 1 GPU"
            : needs.Count > 1 ? Text($"{needs.Count} GPUs on one machine")
            : "1 GPU";
        var list = string.Join(", ", taken) + (rest > 0 ? Text($" and {rest} more") : "");
        var reason = Text($"No free capacity: required {required}, {all} match, {free} free: {list}");
        var shared = devices.Where(d => d.Gpu.Fault is null && !state.GetState(d).Whole)
            .Select(d => state.GetState(d).LeftMiB);
        if (needs.Share is not null && shared.DefaultIfEmpty(0).Max() is > 0 and var left)
            return new PlacementRefusal(false, "share", reason, $"free on one GPU: at most {Size.Format(left)}");
        return new PlacementRefusal(false, needs.Count > 1 ? "count" : "gpu", reason, DescribeOthers(state, kinds));
    }

    private static string DescribeDevice(PlacementState state, Device device)
    {
        var gpu = Text($"GPU {device.Gpu.Index}") + (state.HasSeveralNodes ? $" of {device.Gpu.Node}" : "");
        var name = device.Kind.Profile is { } profile ? $"{profile} of {gpu}" : gpu;
        var use = state.GetState(device);
        if (device.Gpu.Fault is { } fault) return $"{name} has a fault ({fault})";
        if (use.Users is not { } users)
            return $"{name} is reserved for {use.KeptFor}, which waits for several GPUs";
        var pods = string.Join(" and ", users.Take(Named)) + (users.Count > Named ? " and others" : "");
        return $"{name} is used by {pods}";
    }

    /// <summary>Lists the free devices that do not match the request.</summary>
    private static string DescribeOthers(PlacementState state, IReadOnlyList<DeviceKind> requested)
    {
        var others = state.Kinds.Except(requested)
            .Where(k => state.FreeOf(k) > 0)
            .Take(Named)
            .Select(k => Text($"{state.FreeOf(k)} x {k}"))
            .ToList();
        return others.Count > 0 ? $"free, but not requested: {string.Join(", ", others)}" : "";
    }

    private static string Counted(IReadOnlyList<DeviceKind> kinds)
    {
        var groups = kinds.Where(k => k.Devices.Count > 0).GroupBy(k => k.ToString());
        return string.Join(", ", groups.Select(g =>
            Text($"{g.Sum(k => k.Devices.Count)} x {g.Key}{(g.All(k => k.Cut) ? " (in MIG mode)" : "")}")));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
