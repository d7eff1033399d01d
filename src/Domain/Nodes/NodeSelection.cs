using Sluice.Domain.Declarations;

namespace Sluice.Domain.Nodes;

/// <summary>Decides which nodes the leader uses, and which of them starts a worker without GPUs. Pure.</summary>
public static class NodeSelection
{
    /// <summary>
    /// Returns the nodes that the leader can use: its own one first, then the offered ones by name. Of several gateways
    /// of one machine, one starts the workers; on the leader's machine, it is the leader. The workers of all gateways
    /// of a machine count.
    /// </summary>
    /// <param name="own">The leader's node.</param>
    /// <param name="announced">The nodes of the gateways that run.</param>
    public static IReadOnlyList<FleetNode> SelectUsable(FleetNode own, IReadOnlyList<FleetNode> announced)
    {
        var others = announced.Where(n => n.HostId != own.HostId).ToLookup(n => n.Name);
        var usable = new List<FleetNode> { own with { Workers = own.Workers + others[own.Name].Sum(n => n.Workers) } };
        foreach (var node in others.Where(g => g.Key != own.Name).OrderBy(g => g.Key, StringComparer.Ordinal))
            if (node.Where(n => n.IsOffered).MinBy(n => n.HostId, StringComparer.Ordinal) is { } first)
                usable.Add(first with { Workers = node.Sum(n => n.Workers) });
        return usable;
    }

    /// <summary>
    /// Returns the node for a worker without GPUs: of the nodes that can run the template, one without recent failed
    /// starts of the endpoint, or else the one whose last failure is the oldest; of these, the one with the fewest
    /// workers for its processors; of equals, the leader's own one, then the first by name. If none can run it, the
    /// leader's host reports why.
    /// </summary>
    /// <param name="usable">The nodes, the leader's own one first.</param>
    /// <param name="template">The template of the worker.</param>
    /// <param name="avoided">The hosts that get no worker now, except for the leader's own one.</param>
    /// <param name="failures">The failed starts of the endpoint.</param>
    /// <param name="now">The current time.</param>
    public static FleetNode Choose(
        IReadOnlyList<FleetNode> usable,
        Template template,
        IReadOnlySet<string> avoided,
        NodeFailures failures,
        DateTimeOffset now)
    {
        var own = usable[0];
        var able = usable.Where(n => n.CanRun(template) && (n == own || !avoided.Contains(n.HostId))).ToList();
        // The order of equals is the order of the list.
        return able.OrderBy(n => failures.LastOf(n.HostId, now) ?? DateTimeOffset.MinValue)
            .ThenBy(n => n.Workers / (double)Math.Max(1, n.Cpus)).FirstOrDefault(own);
    }
}
