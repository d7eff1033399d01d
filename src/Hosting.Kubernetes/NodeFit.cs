using System.Globalization;
using k8s.Models;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Distinguishes a pod that waits for room from one that no node of the cluster can ever run. Pure.</summary>
internal static class NodeFit
{
    /// <summary>
    /// Returns the resource of which no node has enough in total, and how much the largest one has; null: each resource
    /// alone is available on some node, or there are no nodes.
    /// </summary>
    public static string? Describe(V1Pod pod, IReadOnlyList<V1Node> nodes)
    {
        if (nodes.Count == 0) return null;
        var requests = pod.Spec?.Containers?.FirstOrDefault()?.Resources?.Requests;
        foreach (var (resource, wanted) in requests ?? new Dictionary<string, ResourceQuantity>())
        {
            var largest = nodes
                .Select(n => n.Status?.Allocatable is { } all && all.TryGetValue(resource, out var has) ? has : null)
                .Where(q => q is not null)
                .MaxBy(q => q!.ToDecimal());
            if (largest is null)
                return $"it never fits: it requests {Format(resource, wanted)} of {resource}, and no node has any";
            if (largest.ToDecimal() < wanted.ToDecimal())
                return $"it never fits: it requests {Format(resource, wanted)} of {resource}, and the largest node has "
                    + Format(resource, largest);
        }

        return null;
    }

    private static string Format(string resource, ResourceQuantity amount) => resource == "memory"
        ? string.Create(CultureInfo.InvariantCulture, $"{amount.ToDecimal() / (1L << 30):0.##} GiB")
        : amount.ToString();
}
