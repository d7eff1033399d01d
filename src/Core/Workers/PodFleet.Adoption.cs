using Microsoft.Extensions.Logging;

namespace Sluice.Core.Workers;

/// <summary>What an earlier process of this host left: pods that run on are kept, everything else is forgotten.</summary>
public sealed partial class PodFleet
{
    /// <summary>Endpoint -> records of this host, without a pod that runs, of the last look.</summary>
    private readonly Dictionary<string, HashSet<string>> ghosts = [];

    private volatile bool tookOver;
    private volatile bool relists;

    /// <summary>Redis may have lost its last writes: the next <see cref="TakeOverAsync"/> compares the records of all endpoints with what runs.</summary>
    public void Relist() => relists = true;

    /// <summary>
    /// Looks for pods that run without anybody's care, at the start and now and then: a start that was reported as failed may have happened. Takes as
    /// long as the host's daemon does, so nobody should wait for it who has something to do. Null: the host cannot be asked now.
    /// </summary>
    public async Task<IReadOnlyList<RunningPod>?> FindAsync(CancellationToken ct)
    {
        try
        {
            return await podHost.AdoptAsync(own.ContainsKey, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // What runs goes on running; the next call may find the host again.
            CannotAdopt(e.Message);
            return null;
        }
    }

    /// <summary>Whether another gateway's pod runs on this host; throws when that cannot be told now.</summary>
    public async Task<bool> RunsAsync(string podId, CancellationToken ct) => await podHost.RunsAsync(podId, ct);

    /// <summary>Takes over what was found, and, the first time, ends what Redis says of pods that are gone. May be repeated with the same.</summary>
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
        foreach (var endpoint in tookOver && !relist && left.Count == 0 ? [] : await store.EndpointsAsync(ct))
            foreach (var record in (await store.ListAsync(endpoint, ct)).Where(p => p.HostId == host.Value && !own.ContainsKey(p.Id)))
                if (record.State != PodState.Failed && left.Remove(record.Id, out var running)) TakeOver(record, running);
                // Failed ones of this process are kept for those who ask why.
                else if (!tookOver || (relist && record.State != PodState.Failed)) await ForgetAsync(record, ct);
    }

    private async Task ForgetAsync(Pod record, CancellationToken ct)
    {
        await slots.DownAsync(record.EndpointId, record.Id, ct);
        await store.RemoveAsync(record.EndpointId, record.Id, ct);
    }

    private void TakeOver(Pod record, RunningPod running)
    {
        if (record.ReadyAt is { } since) running.Address = running.Address with { ReadyAt = since, Start = StartStages.Pack(record.Stages) };
        var pod = new OwnPod(record with { Fingerprint = running.Order.Fingerprint, RunsAs = running.Name }) { Running = running };
        if (record.State == PodState.Draining) pod.DrainingSince = time.GetUtcNow();
        if (record.State == PodState.Stopping) pod.WantStop();
        own[pod.Id] = pod;
        pod.Life = Task.Run(() => LiveAsync(pod, () => RunAsync(pod, running)), CancellationToken.None);
        Adopted(pod.Id, pod.EndpointId, running.Name, record.State);
        if (pod.Record.Fingerprint != record.Fingerprint) _ = PersistAsync(() => PutAsync(pod));
    }

    /// <summary>The record of a pod of which Redis knows nothing (any more): it must show that it is ready. The next <see cref="KeepAsync"/> brings
    /// it back into Redis, if there is room for it.</summary>
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

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} runs on as {What} and was taken over ({State})")]
    private partial void Adopted(string worker, string endpoint, string what, PodState state);

    [LoggerMessage(LogLevel.Warning, "This host's pods cannot be listed; those that run go on: {Error}")]
    private partial void CannotAdopt(string error);
}
