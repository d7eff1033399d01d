using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Writes the records of pods and their entries in dispatch to Redis. The methods of a pod's life cycle retry until
/// Redis accepts the write; those with a cancellation token are tried once, because the next round calls them again.
/// </summary>
internal sealed class PodRecords(
    HostId host,
    ManagedPods pods,
    PodStore store,
    WorkerSlotStore slots,
    TimeProvider time) : IDisposable
{
    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(0.5);

    private readonly CancellationTokenSource leaving = new();

    /// <summary>The id of this host in the records of its pods.</summary>
    public string HostId => host.Value;

    /// <summary>Is cancelled when the gateway shuts down and retries no more writes.</summary>
    public CancellationToken Leaving => leaving.Token;

    /// <summary>From now on, each write is tried once, because the gateway shuts down.</summary>
    public Task StopRetryingAsync() => leaving.CancelAsync();

    public void Dispose() => leaving.Dispose();

    /// <summary>Stores the record of a pod that a leader orders, if Redis accepts the order.</summary>
    public Task<StartDecision> OrderAsync(Pod record, long epoch, int max, CancellationToken ct) =>
        store.StartAsync(record, epoch, max, ct);

    /// <summary>Takes a leader's order for this host. Returns false if it has ended or was withdrawn.</summary>
    public Task<bool> TakeAsync(Pod record, CancellationToken ct) => store.TakeOrderAsync(record, ct);

    /// <summary>
    /// Stores the record of a running pod that has none. Returns false if the endpoint has <paramref name="max"/> other
    /// pods.
    /// </summary>
    public async Task<bool> RestoreAsync(Pod record, int max, CancellationToken ct)
    {
        if (!await store.AdoptAsync(record, max, ct)) return false;
        // For the leader, the endpoint may be at rest.
        await slots.AnnounceAsync(record.EndpointId, ct);
        return true;
    }

    /// <summary>Returns the endpoints that have records of pods.</summary>
    public Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) => store.EndpointsAsync(ct);

    /// <summary>Returns the records of an endpoint's pods that belong to this host.</summary>
    public async Task<IEnumerable<Pod>> ListAsync(string endpointId, CancellationToken ct) =>
        (await store.ListAsync(endpointId, ct)).Where(p => p.HostId == HostId);

    /// <summary>Returns the records of an endpoint's pods, of all hosts.</summary>
    public Task<IReadOnlyList<Pod>> ListAllAsync(string endpointId, CancellationToken ct) =>
        store.ListAsync(endpointId, ct);

    /// <summary>
    /// Takes a running pod over from a lost host. Returns its record with this host; null: another host has it.
    /// </summary>
    public async Task<Pod?> TakeOverAsync(Pod record, CancellationToken ct)
    {
        var taken = record with { HostId = HostId };
        return await store.TakeAsync(taken, record.HostId, ct) ? taken : null;
    }

    /// <summary>Stores a pod's record, unless the pod has exited.</summary>
    public async Task PutAsync(ManagedPod pod)
    {
        await pod.Writing.WaitAsync();
        try
        {
            if (pods.Contains(pod.Id)) await store.PutAsync(pod.Record, CancellationToken.None);
        }
        finally
        {
            pod.Writing.Release();
        }
    }

    /// <summary>Removes a record whose pod may be ready in dispatch.</summary>
    public async Task RemoveAsync(Pod record, CancellationToken ct)
    {
        await slots.DownAsync(record.EndpointId, record.Id, ct);
        await store.RemoveAsync(record.EndpointId, record.Id, ct);
    }

    /// <summary>Removes the record of a pod that has exited and is not in dispatch.</summary>
    public Task RemoveExitedAsync(ManagedPod pod, CancellationToken ct) =>
        store.RemoveAsync(pod.EndpointId, pod.Id, ct);

    /// <summary>Stores a pod's record; retries until Redis accepts it.</summary>
    public Task PersistAsync(ManagedPod pod) => PersistAsync(() => PutAsync(pod));

    /// <summary>Stores the current step of a start that takes long as the pod's reason.</summary>
    public void ReportProgress(ManagedPod pod, StartProgress step)
    {
        if (pod.TryMove(r => r with { Reason = step.Text, Download = step.Download }, PodState.Starting))
            _ = PersistAsync(pod);
    }

    /// <summary>Adds a pod to dispatch; retries until Redis accepts it.</summary>
    public Task PersistUpAsync(ManagedPod pod, WorkerAddress address) =>
        PersistAsync(() => slots.UpAsync(pod.EndpointId, address, CancellationToken.None));

    /// <summary>Gives a pod no more requests; those that it has may finish. Retries until Redis accepts it.</summary>
    public Task PersistDrainAsync(ManagedPod pod) =>
        PersistAsync(() => slots.DrainAsync(pod.EndpointId, pod.Id, CancellationToken.None));

    /// <summary>Removes a pod from dispatch; retries until Redis accepts it.</summary>
    public Task PersistDownAsync(ManagedPod pod) =>
        PersistAsync(() => slots.DownAsync(pod.EndpointId, pod.Id, CancellationToken.None));

    /// <summary>Removes the record of a pod that has exited; retries until Redis accepts it.</summary>
    public Task PersistRemovalAsync(ManagedPod pod) =>
        PersistAsync(() => RemoveExitedAsync(pod, CancellationToken.None));

    /// <summary>Removes the records of this host's failed pods of an endpoint, except the latest ones.</summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="keep">The number of records that stay.</param>
    public Task ForgetFailuresAsync(string endpointId, int keep) => PersistAsync(async () =>
    {
        var failed = (await ListAsync(endpointId, CancellationToken.None)).Where(p => p.State == PodState.Failed);
        foreach (var pod in failed.SkipLast(keep))
            await store.RemoveAsync(endpointId, pod.Id, CancellationToken.None);
    });

    /// <summary>Retries a write until Redis accepts it. While the gateway shuts down, it is tried once.</summary>
    private async Task PersistAsync(Func<Task> write)
    {
        while (true)
        {
            try
            {
                await write();
                return;
            }
            catch (Exception e) when (RedisErrors.Is(e) || RedisFaults.Classify(e) == RedisFault.WrongData)
            {
                // A key of the wrong type is retried too: the worker itself is healthy and keeps running.
                if (leaving.IsCancellationRequested) return;
                await Task.WhenAny(Task.Delay(StoreRetry, time, leaving.Token));
            }
        }
    }
}
