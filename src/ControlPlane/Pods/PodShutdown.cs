using Sluice.Hosting;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Pods;

/// <summary>Drains and stops the pods of a host that shuts down.</summary>
internal sealed class PodShutdown(
    IPodHost podHost,
    ManagedPods pods,
    PodRecords records,
    PodTransitions transitions,
    WorkerSlotStore slots)
{
    /// <summary>Whether the pods keep running without this process, which then does not record their end.</summary>
    public bool KeepsPods => podHost.KeepsPods;

    /// <summary>Whether other gateways use the same host, and adopt the pods that keep running.</summary>
    public bool IsShared => podHost.IsShared;

    /// <summary>
    /// One round of a host that shuts down: removes its pods from dispatch, so that they get no new requests and no
    /// longer count as capacity, and stops those without requests.
    /// </summary>
    /// <returns>Whether any pods still run.</returns>
    public async Task<bool> DrainAsync(CancellationToken ct)
    {
        const string reason = "its gateway is shutting down";
        foreach (var endpoint in pods.Endpoints.ToList())
        {
            var workers = (await slots.SnapshotAsync(endpoint, ct)).Workers.ToDictionary(w => w.PodId);
            foreach (var pod in pods.All.Where(p => p.EndpointId == endpoint && !p.StopRequested.IsCompleted))
            {
                var inDispatch = workers.GetValueOrDefault(pod.Id);
                if (inDispatch is { Draining: false }) await transitions.DrainForShutdownAsync(pod, reason, ct);
                else if (inDispatch is null or { Leased: 0 }) await transitions.StopAsync(pod, reason);
            }
        }

        return !pods.IsEmpty;
    }

    /// <summary>Reaps the expired slot leases of the endpoints that this host has pods of.</summary>
    public async Task ReapAsync()
    {
        foreach (var endpoint in pods.Endpoints.ToList())
            await slots.ReapAsync(endpoint, CancellationToken.None);
    }

    /// <summary>
    /// Stops every pod of this host and completes when all have exited. If the host keeps its pods, they stay for the
    /// next process.
    /// </summary>
    public async Task StopAllAsync()
    {
        if (KeepsPods)
        {
            await records.StopRetryingAsync();
            return;
        }

        foreach (var pod in pods.All) pod.RequestStop();
        await records.StopRetryingAsync();
        await Task.WhenAll(pods.All.Select(p => p.Life));
    }
}
