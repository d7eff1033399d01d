namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// A device of a node as the host names it: <c>node1:nvidia.com/gpu:0</c>. Kubernetes counts the devices of a resource
/// and does not name them, and its device plugin chooses which one a pod gets, so the number is a place in the count.
/// </summary>
/// <param name="Node">Name of the node.</param>
/// <param name="Resource">The extended resource: <c>nvidia.com/gpu</c>, <c>nvidia.com/mig-1g.10gb</c>.</param>
/// <param name="Index">From 0 to the number of these devices on the node.</param>
internal sealed record NodeDevice(string Node, string Resource, int Index)
{
    public override string ToString() => $"{Node}:{Resource}:{Index}";

    /// <summary>Returns how many devices of each resource a pod gets.</summary>
    public static IReadOnlyDictionary<string, int> Count(IEnumerable<string> devices) =>
        devices.Select(ResourceOf).GroupBy(r => r).ToDictionary(g => g.Key, g => g.Count());

    /// <summary>Returns the node of devices of one pod; null: there are none, or of another source.</summary>
    public static string? NodeOf(IReadOnlyList<string> devices) =>
        devices is [var first, ..] && first.Split(':') is [var node, _, _] ? node : null;

    /// <summary>Returns the resource of a device; <c>nvidia.com/gpu</c> if the name is of another source.</summary>
    private static string ResourceOf(string device) =>
        device.Split(':') is [_, var resource, _] ? resource : NodeGpus.WholeGpu;
}
