using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Standby;

/// <summary>
/// What a standby worker is started with, before anybody knows for whom: the environment that pods of a declaration have in common. A
/// standby serves every declaration with just this environment.
/// </summary>
/// <param name="Variables">The environment, without what is a pod's own.</param>
/// <param name="DevicesLater">Its GPUs are placed, and named with its orders.</param>
internal sealed record StandbyKind(IReadOnlyDictionary<string, string> Variables, bool DevicesLater)
{
    private readonly string text = string.Join('\n', Variables.OrderBy(v => v.Key, StringComparer.Ordinal).Select(v => $"{v.Key}={v.Value}")
        .Append($"{DevicesLater}"));

    /// <summary>Of a pod that is ordered; null: a standby cannot be it, because it has a command or an image of its own, or
    /// a part of a GPU, which its options depend on.</summary>
    public static StandbyKind? Of(PodOrder order) => order.Deployment.Template is not { IsBuiltIn: true, Args.Count: 0 }
        || order.Deployment.Template.Gpu?.Share is not null ? null
        : new StandbyKind(PodEnvironment.Make(order, "", 0, "").Where(v => !PodEnvironment.OfOnePod.Contains(v.Key)).ToDictionary(),
            order.Devices is not null);

    /// <summary>
    /// How many standbys of which kind to keep. Pure: <paramref name="count"/> of them go round the kinds, those that most
    /// endpoints share first.
    /// </summary>
    public static IReadOnlyDictionary<StandbyKind, int> Share(IReadOnlyList<Deployment> declared, bool placed, int count)
    {
        var kinds = declared.Where(d => d.Endpoint.Scaling.Max > 0)
            .Select(d => Of(new PodOrder(d, "", placed || DeviceEnvironment.Decides(d, declared) ? [] : null))).OfType<StandbyKind>()
            .GroupBy(k => k).OrderByDescending(g => g.Count()).ThenBy(g => g.Key.text, StringComparer.Ordinal).Select(g => g.Key).ToList();
        return kinds.Select((kind, at) => (kind, Each: (count / kinds.Count) + (at < count % kinds.Count ? 1 : 0)))
            .Where(k => k.Each > 0).ToDictionary(k => k.kind, k => k.Each);
    }

    public bool Equals(StandbyKind? other) => other is not null && text == other.text;

    public override int GetHashCode() => text.GetHashCode(StringComparison.Ordinal);
}
