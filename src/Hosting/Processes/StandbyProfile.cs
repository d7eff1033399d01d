using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Processes;

/// <summary>
/// Identifies what a standby worker is started with, before its pod is known: the environment that the pods of a
/// declaration have in common. A standby worker can serve every declaration with exactly this environment.
/// </summary>
/// <param name="Variables">The environment, without the variables that differ from pod to pod.</param>
/// <param name="DevicesLater">Whether its GPUs are assigned, and passed to it with its pod's variables.</param>
internal sealed record StandbyProfile(IReadOnlyDictionary<string, string> Variables, bool DevicesLater)
{
    private readonly string text = string.Join('\n', Variables
        .OrderBy(v => v.Key, StringComparer.Ordinal)
        .Select(v => $"{v.Key}={v.Value}")
        .Append($"{DevicesLater}"));

    /// <summary>
    /// Returns the kind of standby worker that can become an ordered pod. Null: none can, because the template has a
    /// command, an image or a share of a GPU, which the worker's options depend on.
    /// </summary>
    public static StandbyProfile? ForOrder(PodSpec order)
    {
        if (order.Deployment.Template is not { IsBuiltIn: true, Args.Count: 0 }) return null;
        if (order.Deployment.Template.Gpu?.Share is not null) return null;
        var variables = PodEnvironment.Build(order, "", 0, "").Where(v => !PodEnvironment.OfOnePod.Contains(v.Key));
        return new StandbyProfile(variables.ToDictionary(), order.Devices is not null);
    }

    /// <summary>
    /// Returns how many standby workers of each kind to keep. Pure. The workers are distributed over the kinds in turn,
    /// beginning with the kinds that most endpoints share.
    /// </summary>
    /// <param name="declared">All declarations.</param>
    /// <param name="placed">Whether the host assigns devices to every pod.</param>
    /// <param name="count">Number of standby workers.</param>
    public static IReadOnlyDictionary<StandbyProfile, int> Share(
        IReadOnlyList<Deployment> declared,
        bool placed,
        int count)
    {
        var kinds = declared.Where(d => d.Endpoint.Scaling.Max > 0)
            .Select(d => ForOrder(new PodSpec(d, "", placed || DeviceEnvironment.Decides(d, declared) ? [] : null)))
            .OfType<StandbyProfile>()
            .GroupBy(k => k)
            .OrderByDescending(g => g.Count())
            .ThenBy(g => g.Key.text, StringComparer.Ordinal)
            .Select(g => g.Key)
            .ToList();
        return kinds.Select((kind, at) => (kind, Each: (count / kinds.Count) + (at < count % kinds.Count ? 1 : 0)))
            .Where(k => k.Each > 0).ToDictionary(k => k.kind, k => k.Each);
    }

    public bool Equals(StandbyProfile? other) => other is not null && text == other.text;

    public override int GetHashCode() => text.GetHashCode(StringComparison.Ordinal);
}
