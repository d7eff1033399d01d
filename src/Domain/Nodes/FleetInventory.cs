using Sluice.Domain.Gpus;

namespace Sluice.Domain.Nodes;

/// <summary>The GPUs of several nodes, and the host that starts workers on each of them.</summary>
/// <param name="Inventory">The GPUs of all nodes.</param>
/// <param name="Hosts">Node of a GPU → the id of its host.</param>
public sealed record FleetInventory(Inventory Inventory, IReadOnlyDictionary<string, string> Hosts)
{
    /// <summary>Why a GPU of an avoided host is not allocated.</summary>
    internal const string Unresponsive = "its gateway did not take an order";

    /// <summary>
    /// Merges the inventories of nodes. Each GPU counts once, for the first node that reports it: gateways of one
    /// machine see the same GPUs. Pure.
    /// </summary>
    /// <param name="nodes">The nodes, the reader's own one first.</param>
    /// <param name="avoided">The hosts whose GPUs are not allocated now.</param>
    public static FleetInventory Merge(IReadOnlyList<FleetNode> nodes, IReadOnlySet<string> avoided)
    {
        var hosts = new Dictionary<string, string>();
        var gpus = new Dictionary<string, Gpu>();
        var links = new List<GpuLink>();
        foreach (var node in nodes)
        {
            var inventory = node.Gpus.OnNode(node.Name);
            var added = new HashSet<string>();
            foreach (var gpu in inventory.Gpus)
            {
                if (hosts.TryAdd(gpu.Node, node.HostId) || hosts[gpu.Node] == node.HostId)
                    if (gpus.TryAdd(gpu.Uuid, Avoid(gpu, avoided.Contains(node.HostId))))
                        added.Add(gpu.Uuid);
            }

            links.AddRange(inventory.Links.Where(l => added.Contains(l.A) && added.Contains(l.B)));
        }

        if (nodes.Count == 1 && avoided.Count == 0) return new FleetInventory(nodes[0].Gpus, hosts);
        return new FleetInventory(new Inventory
        {
            Gpus = [.. gpus.Values],
            Links = links,
            Source = nodes[0].Gpus.Source,
            Error = DescribeErrors(nodes),
        }, hosts);
    }

    private static Gpu Avoid(Gpu gpu, bool isAvoided) =>
        isAvoided && gpu.Fault is null ? gpu with { Fault = Unresponsive } : gpu;

    private static string? DescribeErrors(IReadOnlyList<FleetNode> nodes)
    {
        var errors = nodes.Where(n => n.Gpus.Error is not null).Select(n => $"{n.Name}: {n.Gpus.Error}").ToList();
        return errors.Count == 0 ? null : string.Join("; ", errors);
    }
}
