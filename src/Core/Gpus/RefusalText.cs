using System.Globalization;

namespace Sluice.Core.Gpus;

/// <summary>Says which part of a wish cannot be met, and what would fit. Pure.</summary>
internal static class RefusalText
{
    /// <summary>Devices that are named one by one; the others are counted.</summary>
    private const int Named = 4;

    public static PlacementRefusal Of(PlacementBoard board, GpuNeeds needs, IReadOnlyList<IReadOnlyList<DeviceKind>> fitting)
    {
        if (board.Kinds.Count == 0)
            return new PlacementRefusal(true, "gpu", $"there is no GPU here{(board.Inventory.Error is { } error ? $" ({error})" : "")}", "");
        var kinds = fitting.SelectMany(t => t).ToList();
        return kinds.Count == 0 ? Unfit(board.Kinds, needs) : TooMany(board, kinds, needs) ?? Taken(board, kinds, needs);
    }

    /// <summary>The first part that none of those which meet everything before it meets.</summary>
    private static PlacementRefusal Unfit(IReadOnlyList<DeviceKind> all, GpuNeeds needs)
    {
        var left = all;
        foreach (var part in NeedsCheck.Parts)
        {
            var next = left.Where(k => part.Meets(needs, k)).ToList();
            if (next.Count == 0)
            {
                var whose = left.Count == all.Count ? "here" : "that are left by the other parts of gpu";
                return new PlacementRefusal(true, part.Field,
                    $"gpu.{part.Field} asks for {part.Wanted(needs)}; of the GPUs {whose} ({Counted(left)}) none has it", part.WouldFit(left));
            }

            left = next;
        }

        throw new InvalidOperationException("a kind that meets every part is fit");
    }

    /// <summary>More GPUs than any machine has of one kind, or more than NVLinks connect.</summary>
    private static PlacementRefusal? TooMany(PlacementBoard board, IReadOnlyList<DeviceKind> kinds, GpuNeeds needs)
    {
        var (kind, most) = kinds.Select(k => (Kind: k, Most: k.Nodes.Max(n => n.Devices.Count))).MaxBy(k => k.Most);
        if (needs.Count > most)
            return new PlacementRefusal(true, "count",
                Text($"gpu.count asks for {needs.Count} GPUs of one kind on one machine; the most that fit are {most} ({kind})"), Text($"would fit: count {most}"));
        if (!needs.NvLink || kinds.Any(k => board.AreLinked(k, needs.Count))) return null;
        var linked = Enumerable.Range(2, needs.Count - 2).LastOrDefault(n => kinds.Any(k => board.AreLinked(k, n)));
        var here = linked > 1 ? Text($"the most here are {linked}") : "none here are connected";
        return new PlacementRefusal(true, "nvLink", Text($"gpu.nvLink asks for {needs.Count} GPUs of which NVLinks connect each two; {here}"),
            linked > 1 ? Text($"would fit: count {linked}, or without nvLink") : "would fit: without nvLink");
    }

    /// <summary>Enough would fit, and others have them.</summary>
    private static PlacementRefusal Taken(PlacementBoard board, IReadOnlyList<DeviceKind> kinds, GpuNeeds needs)
    {
        var devices = kinds.SelectMany(k => k.Devices);
        var (all, free) = (kinds.Sum(k => k.Devices.Count), kinds.Sum(board.FreeOf));
        var taken = devices.Where(d => !board.IsFree(d)).Take(Named).Select(d => Why(board, d)).ToList();
        var rest = all - free - taken.Count;
        var wanted = needs.Share is { } share ? $"{share} of one" : needs.Count > 1 ? Text($"{needs.Count} together") : "one";
        var reason = Text($"no capacity now: wanted {wanted}, {all} would fit, {free} free: {string.Join(", ", taken)}{(rest > 0 ? Text($" and {rest} more") : "")}");
        var parts = devices.Where(d => d.Gpu.Fault is null && !board.Of(d).Whole).Select(d => board.Of(d).LeftMiB);
        if (needs.Share is not null && parts.DefaultIfEmpty(0).Max() is > 0 and var left)
            return new PlacementRefusal(false, "share", reason, $"free on one GPU: at most {Size.Text(left)}");
        return new PlacementRefusal(false, needs.Count > 1 ? "count" : "gpu", reason, Instead(board, kinds));
    }

    private static string Why(PlacementBoard board, Device device)
    {
        var name = device.Kind.Profile is { } profile ? Text($"{profile} of GPU {device.Gpu.Index}") : Text($"GPU {device.Gpu.Index}");
        return device.Gpu.Fault is { } fault ? $"{name} must not be used ({fault})"
            : board.Of(device).Users is { } users ? $"{name} has {string.Join(" and ", users.Take(Named))}{(users.Count > Named ? " and others" : "")}"
            : $"{name} is kept for {board.Of(device).KeptFor}, which waits for several";
    }

    /// <summary>What is free, and is not what was asked for.</summary>
    private static string Instead(PlacementBoard board, IReadOnlyList<DeviceKind> asked)
    {
        var others = board.Kinds.Except(asked).Where(k => board.FreeOf(k) > 0).Take(Named).Select(k => Text($"{board.FreeOf(k)} x {k}")).ToList();
        return others.Count > 0 ? $"free, but not asked for: {string.Join(", ", others)}" : "";
    }

    private static string Counted(IReadOnlyList<DeviceKind> kinds) => string.Join(", ", kinds.Where(k => k.Devices.Count > 0)
        .GroupBy(k => k.ToString()).Select(g => Text($"{g.Sum(k => k.Devices.Count)} x {g.Key}{(g.All(k => k.Cut) ? " (cut by MIG)" : "")}")));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
