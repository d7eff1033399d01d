using System.Globalization;
using k8s.Models;
using Sluice.Domain.Gpus;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Derives the GPUs of nodes from the labels of GPU feature discovery and from the allocatable resources of NVIDIA's
/// device plugin (github.com/NVIDIA/k8s-device-plugin). Pure. Kubernetes does not name single GPUs, so they are
/// numbered. No label says whether NVLinks connect them, so this is derived from their name (<see cref="NodeLinks"/>).
/// </summary>
internal static class NodeInventory
{
    private const string MigPrefix = "nvidia.com/mig-";
    private const string MigMark = "-MIG-";
    private const string Label = "nvidia.com/";

    /// <summary>Returns the GPUs of the nodes.</summary>
    public static Inventory Build(IEnumerable<V1Node> nodes)
    {
        var ordered = nodes.OrderBy(n => n.Metadata.Name, StringComparer.Ordinal).ToList();
        var gpus = ordered.SelectMany(Read).ToList();
        return new Inventory
        {
            Source = "kubernetes",
            Gpus = gpus,
            Links = [.. ordered.SelectMany(n => NodeLinks.Read(
                n, [.. gpus.Where(g => g.Node == n.Metadata.Name && !g.MigEnabled)]))],
            Error = gpus.Count > 0 ? null
                : "no node has the resource nvidia.com/gpu or nvidia.com/mig-*: install NVIDIA's GPU operator",
        };
    }

    private static IEnumerable<Gpu> Read(V1Node node)
    {
        var name = node.Metadata.Name;
        var fault = Fault(node);
        var whole = Count(node, NodeGpus.WholeGpu);
        if (SliceName(node) is { } slice)
        {
            var profile = Profile(slice);
            if (profile is null) fault ??= $"its MIG slices have the unknown profile '{slice}'";
            yield return Gpu(node, new NodeDevice(name, "nvidia.com/mig", 0), 0) with
            {
                MigEnabled = true,
                Slices = profile is null ? [] : [.. Enumerable.Range(0, whole).Select(i =>
                    new MigSlice(new NodeDevice(name, NodeGpus.WholeGpu, i).ToString(), profile, i))],
                Fault = fault,
            };
            yield break;
        }

        for (var i = 0; i < whole; i++)
            yield return Gpu(node, new NodeDevice(name, NodeGpus.WholeGpu, i), i) with { Fault = fault };
        var slices = Slices(node).ToList();
        if (slices.Count == 0) yield break;
        // Which slice is on which GPU is not known, and does not matter: a pod gets one slice.
        yield return Gpu(node, new NodeDevice(name, "nvidia.com/mig", 0), whole) with
        {
            MigEnabled = true,
            Slices = slices,
            Fault = fault,
        };
    }

    private static Gpu Gpu(V1Node node, NodeDevice device, int index) => new()
    {
        Index = index,
        Uuid = device.ToString(),
        Node = device.Node,
        Name = (Text(node, "gpu.product") ?? "NVIDIA GPU").Replace("-SHARED", "", StringComparison.Ordinal)
            .Split(MigMark)[0],
        MemoryMiB = Number(node, "gpu.memory") ?? 0,
        ComputeCapability = new ComputeCapability(
            (int)(Number(node, "gpu.compute.major") ?? 0), (int)(Number(node, "gpu.compute.minor") ?? 0)),
        Driver = Text(node, "cuda.driver-version.full") ?? OldDriver(node),
    };

    /// <summary>
    /// Returns the profile of all slices of a node with the MIG strategy "single", which announces slices as
    /// <c>nvidia.com/gpu</c> and has their profile in the product: <c>NVIDIA-A100-SXM4-40GB-MIG-1g.5gb</c>, or
    /// <c>...-MIG-INVALID</c> if the GPUs do not have equal slices. Null: the node has another strategy.
    /// </summary>
    private static string? SliceName(V1Node node) =>
        Text(node, "gpu.product")?.Replace("-SHARED", "", StringComparison.Ordinal).Split(MigMark) is [_, var profile]
            ? profile : null;

    private static IEnumerable<MigSlice> Slices(V1Node node)
    {
        var index = 0;
        foreach (var (resource, _) in Allocatable(node).OrderBy(r => r.Key, StringComparer.Ordinal))
        {
            if (!resource.StartsWith(MigPrefix, StringComparison.Ordinal)) continue;
            if (Profile(resource[MigPrefix.Length..]) is not { } profile) continue;
            for (var i = 0; i < Count(node, resource); i++)
                yield return new MigSlice(new NodeDevice(node.Metadata.Name, resource, i).ToString(), profile, index++);
        }
    }

    /// <summary>Parses the profile of a resource: a <c>+</c> of the profile is a <c>.</c> there.</summary>
    private static MigProfile? Profile(string text) =>
        MigProfile.Parse(text) ?? MigProfile.Parse(text.Replace("gb.", "gb+", StringComparison.Ordinal));

    private static string? Fault(V1Node node)
    {
        if (node.Spec?.Unschedulable == true) return "its node is cordoned";
        if (node.Status?.Conditions?.FirstOrDefault(c => c.Type == "Ready") is { Status: not "True" })
            return "its node is not ready";
        return Text(node, "gpu.sharing-strategy") is "time-slicing" or "mps"
            ? $"its node shares each GPU among {Text(node, "gpu.replicas") ?? "several"} pods "
                + $"({Text(node, "gpu.sharing-strategy")}), which does not isolate their memory"
            : null;
    }

    private static string? OldDriver(V1Node node) => Text(node, "cuda.driver.major") is { } major
        ? string.Join('.', new[] { major, Text(node, "cuda.driver.minor"), Text(node, "cuda.driver.rev") }
            .Where(p => p is { Length: > 0 })) : null;

    private static string? Text(V1Node node, string label) =>
        node.Metadata.Labels?.TryGetValue(Label + label, out var value) == true ? value : null;

    private static long? Number(V1Node node, string label) =>
        long.TryParse(Text(node, label), CultureInfo.InvariantCulture, out var number) ? number : null;

    private static int Count(V1Node node, string resource) =>
        Allocatable(node).TryGetValue(resource, out var count) ? (int)count.ToInt64() : 0;

    private static IDictionary<string, ResourceQuantity> Allocatable(V1Node node) =>
        node.Status?.Allocatable ?? new Dictionary<string, ResourceQuantity>();
}
