using k8s;
using k8s.Models;
using Sluice.Domain.Gpus;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Reads the nodes of the cluster: their GPUs, and their size.</summary>
internal sealed class NodeGpus(IKubernetes client) : IGpuSource
{
    /// <summary>The extended resource of whole GPUs, and the taint of their nodes.</summary>
    public const string WholeGpu = "nvidia.com/gpu";

    private volatile IReadOnlyList<V1Node>? last;

    public TimeSpan ReadInterval => TimeSpan.FromSeconds(30);

    public async Task<Inventory?> ReadAsync(CancellationToken ct)
    {
        try
        {
            return NodeInventory.Build(await ListAsync(ct));
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            return Inventory.None($"the nodes of Kubernetes cannot be read: {KubernetesErrors.Describe(e)}");
        }
    }

    /// <summary>
    /// Returns why no node can ever have room for a pod; null: one can, or the nodes cannot be read.
    /// </summary>
    public async Task<string?> DescribeMisfitAsync(V1Pod pod, CancellationToken ct)
    {
        try
        {
            return NodeFit.Describe(pod, last ?? await ListAsync(ct));
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            // The scheduler says why the pod waits.
            return null;
        }
    }

    private async Task<IReadOnlyList<V1Node>> ListAsync(CancellationToken ct)
    {
        var nodes = (await client.CoreV1.ListNodeAsync(cancellationToken: ct)).Items;
        last = [.. nodes];
        return last;
    }
}

/// <summary>The GPUs of a cluster whose nodes the gateway does not read.</summary>
internal sealed class NoNodes : IGpuSource
{
    public TimeSpan ReadInterval => TimeSpan.FromHours(1);

    public Task<Inventory?> ReadAsync(CancellationToken ct) =>
        Task.FromResult<Inventory?>(Inventory.None(
            "SLUICE_KUBERNETES_NODES is 0, so the GPUs of the nodes are not read"));
}
