using Microsoft.Extensions.Logging;

namespace Sluice.Core.Workers;

/// <summary>What an earlier process of this host left: pods that run on are kept, everything else is forgotten.</summary>
public sealed partial class PodFleet
{
    private bool tookOver;

    /// <summary>
    /// Takes over the pods that run without anybody's care, and, the first time, ends what Redis says of those that are gone. Called at the start
    /// and now and then: a start that was reported as failed may have happened. Not while a pod is being started by <see cref="StartAsync"/>.
    /// </summary>
    public async Task TakeOverAsync(CancellationToken ct)
    {
        IReadOnlyList<RunningPod> found;
        try
        {
            found = await podHost.AdoptAsync(own.Keys.ToHashSet(), ct);
        }
        catch (InvalidOperationException e)
        {
            // What runs goes on running; the next call may find the host again.
            CannotAdopt(e.Message);
            return;
        }

        var left = found.ToDictionary(p => p.Order.PodId);
        foreach (var endpoint in tookOver && left.Count == 0 ? [] : await store.EndpointsAsync(ct))
            foreach (var record in (await store.ListAsync(endpoint, ct)).Where(p => p.HostId == host.Value && !own.ContainsKey(p.Id)))
                if (record.State != PodState.Failed && left.Remove(record.Id, out var running)) TakeOver(record, running);
                else if (!tookOver) await ForgetAsync(record, ct);
        foreach (var running in left.Values) TakeOver(RecordOf(running), running);
        tookOver = true;
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
        pod.Life = LiveOnAsync(pod, running);
        Adopted(pod.Id, pod.EndpointId, running.Name, record.State);
        if (pod.Record.Fingerprint != record.Fingerprint) _ = PersistAsync(() => PutAsync(pod));
    }

    private async Task LiveOnAsync(OwnPod pod, RunningPod running)
    {
        await Task.Yield();
        await EndAsync(pod, await RunAsync(pod, running));
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
