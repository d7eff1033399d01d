using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Hosting;

namespace Sluice.ControlPlane;

/// <summary>
/// Adopts the running pods of an earlier process of this host, and removes the records of all others.
/// </summary>
public sealed partial class PodManager
{
    /// <summary>Endpoint -> pods that had a record of this host in the last round but do not run.</summary>
    private readonly Dictionary<string, HashSet<string>> ghosts = [];

    private volatile bool tookOver;
    private volatile bool relists;

    /// <summary>
    /// Makes the next <see cref="TakeOverAsync"/> compare the records of all endpoints with the running pods, because
    /// Redis may have lost its last writes.
    /// </summary>
    public void Relist() => relists = true;

    /// <summary>
    /// Searches for running pods that this process does not manage, at the start and periodically: a start that was
    /// reported as failed may have succeeded. The search takes as long as the host's daemon does, so it must not block
    /// other work. Null: the host does not respond now.
    /// </summary>
    public async Task<IReadOnlyList<RunningPod>?> FindUnmanagedAsync(CancellationToken ct)
    {
        try
        {
            return await podHost.AdoptAsync(own.ContainsKey, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // Running pods are not affected. The next call may succeed.
            CannotAdopt(e.Message);
            return null;
        }
    }

    /// <summary>Whether another gateway's pod runs on this host. Throws if that is not known now.</summary>
    public async Task<bool> IsRunningAsync(string podId, CancellationToken ct) =>
        await podHost.IsRunningAsync(podId, ct);

    /// <summary>
    /// Adopts the pods that were found. The first call also removes the records of pods that no longer run. The method
    /// is idempotent.
    /// </summary>
    public async Task TakeOverAsync(IReadOnlyList<RunningPod> found, CancellationToken ct)
    {
        var left = found.Where(p => !own.ContainsKey(p.Order.PodId)).ToDictionary(p => p.Order.PodId);
        var relist = relists;
        relists = false;
        try
        {
            await CompareAsync(left, relist, ct);
        }
        catch
        {
            relists |= relist;
            throw;
        }

        foreach (var running in left.Values) TakeOver(RecordOf(running), running);
        tookOver = true;
    }

    private async Task CompareAsync(Dictionary<string, RunningPod> left, bool relist, CancellationToken ct)
    {
        var readsRecords = !tookOver || relist || left.Count > 0;
        foreach (var endpoint in readsRecords ? await store.EndpointsAsync(ct) : [])
        {
            var records = await store.ListAsync(endpoint, ct);
            foreach (var record in records.Where(p => p.HostId == host.Value && !own.ContainsKey(p.Id)))
            {
                if (record.State != PodState.Failed && left.Remove(record.Id, out var running))
                    TakeOver(record, running);
                // Failed pods of this process stay listed, so that operators can read why they failed.
                else if (!tookOver || (relist && record.State != PodState.Failed))
                    await ForgetAsync(record, ct);
            }
        }
    }

    private async Task ForgetAsync(Pod record, CancellationToken ct)
    {
        await slots.DownAsync(record.EndpointId, record.Id, ct);
        await store.RemoveAsync(record.EndpointId, record.Id, ct);
    }

    private void TakeOver(Pod record, RunningPod running)
    {
        if (record.ReadyAt is { } since)
            running.Address = running.Address with { ReadyAt = since, Start = StartStages.Pack(record.Stages) };
        var adopted = record with { Fingerprint = running.Order.Fingerprint, RunsAs = running.Name };
        var pod = new ManagedPod(adopted) { Running = running };
        if (record.State == PodState.Draining) pod.DrainingSince = time.GetUtcNow();
        if (record.State == PodState.Stopping) pod.RequestStop();
        own[pod.Id] = pod;
        pod.Life = Task.Run(() => ManageAsync(pod, () => RunAsync(pod, running)), CancellationToken.None);
        Adopted(pod.Id, pod.EndpointId, running.Name, record.State);
        if (pod.Record.Fingerprint != record.Fingerprint) _ = PersistAsync(() => PutAsync(pod));
    }

    /// <summary>
    /// Creates the record of a running pod that has none in Redis. The pod must pass the readiness probe. The next <see
    /// cref="ReconcilePodsAsync"/> stores the record, if the endpoint has room for the pod.
    /// </summary>
    private Pod RecordOf(RunningPod running) => new()
    {
        Id = running.Order.PodId,
        EndpointId = running.Deployment.Endpoint.Id,
        Template = running.Deployment.Template.Name,
        HostId = host.Value,
        State = PodState.Starting,
        Fingerprint = running.Order.Fingerprint,
        StartedAt = time.GetUtcNow() - time.GetElapsedTime(running.Started),
        ProcessId = running.ProcessId,
        RunsAs = running.Name,
        Devices = running.Order.Devices ?? [],
        ShareMiB = running.Order.ShareMiB,
        Reason = "adopted",
    };

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} was adopted ({State}): it runs as {What}")]
    private partial void Adopted(string worker, string endpoint, string what, PodState state);

    [LoggerMessage(LogLevel.Warning, "Pods of this host could not be listed; running pods are not affected: {Error}")]
    private partial void CannotAdopt(string error);
}
