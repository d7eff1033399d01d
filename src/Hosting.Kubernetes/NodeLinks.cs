using k8s.Models;
using Sluice.Domain.Gpus;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Derives the NVLinks of a node from the name of its GPUs, because GPU feature discovery has no label for them. Pure.
/// The GPUs of an HGX board are all connected by NVSwitches or directly (nvidia.com/data-center/hgx): from the A100 on,
/// these are the models with NVLinks that are neither PCIe cards nor NVL pairs. The GPUs of a V100 board are not all
/// connected. A worker verifies the links of the GPUs that it got.
/// </summary>
internal static class NodeLinks
{
    /// <summary>
    /// Label of a node that states whether NVLinks connect all its GPUs, <c>true</c> or <c>false</c>. It is set by the
    /// operator, and replaces what the name says.
    /// </summary>
    public const string Label = "sluice/nvlink";

    /// <summary>Bandwidth of one NVLink in both directions before Blackwell, and of one of Blackwell, GB/s.</summary>
    private const double LinkGBps = 50, BlackwellLinkGBps = 100;

    private const int FirstFullyConnected = 8;

    /// <summary>Returns the links of each pair of the node's whole GPUs; empty if they are not known.</summary>
    public static IEnumerable<GpuLink> Read(V1Node node, IReadOnlyList<Gpu> gpus)
    {
        if (gpus.Count < 2) yield break;
        var model = GpuModelCatalog.Find(gpus[0].Name);
        var label = node.Metadata.Labels?.TryGetValue(Label, out var text) == true ? text : null;
        var areLinked = bool.TryParse(label, out var stated) ? stated : IsOnBoard(gpus[0].Name, model);
        if (!areLinked) yield break;
        var links = model is { NvLinkGBps: > 0 }
            ? (int)(model.NvLinkGBps / (model.ComputeCapability.Major >= 10 ? BlackwellLinkGBps : LinkGBps)) : 1;
        for (var a = 0; a < gpus.Count; a++)
            for (var b = a + 1; b < gpus.Count; b++)
                yield return new GpuLink(gpus[a].Uuid, gpus[b].Uuid, LinkKind.NV, links);
    }

    /// <summary>
    /// Whether the name is that of a GPU on a board: <c>NVIDIA-A100-SXM4-80GB</c>, <c>NVIDIA-H100-80GB-HBM3</c>,
    /// <c>NVIDIA-H200</c>, but not <c>NVIDIA-H100-PCIe</c> or <c>NVIDIA-H200-NVL</c>.
    /// </summary>
    private static bool IsOnBoard(string name, GpuModel? model)
    {
        if (model is null || model.ComputeCapability.Major < FirstFullyConnected) return false;
        var words = name.Split('-', ' ');
        if (words.Any(w => w.Equals("PCIe", StringComparison.OrdinalIgnoreCase)
            || w.Equals("NVL", StringComparison.OrdinalIgnoreCase))) return false;
        var isModule = words.Any(w => w.StartsWith("SXM", StringComparison.OrdinalIgnoreCase));
        return isModule || model.NvLinkGBps >= 900;
    }
}
