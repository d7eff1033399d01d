using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>Stores the last output lines of this host's pods, so that operators can read them.</summary>
internal sealed class PodOutputStore(ManagedPods pods, PodStore store, TimeProvider time)
{
    /// <summary>
    /// Pause between two writes of a pod's last output lines: a worker with much output costs one write a second.
    /// </summary>
    private static readonly TimeSpan StoreOutputEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Stores the last output lines of this host's pods of an endpoint, only when there are new ones, and each pod's at
    /// most once in <see cref="StoreOutputEvery"/>.
    /// </summary>
    public Task StoreAsync(string endpointId, CancellationToken ct)
    {
        List<Task> writes = [];
        foreach (var pod in pods.All)
        {
            if (pod.EndpointId != endpointId || pod.Running is not { } running) continue;
            var lines = running.LinesWritten;
            if (lines == pod.StoredLines) continue;
            if (pod.OutputStoredAt is { } storedAt && time.GetElapsedTime(storedAt) < StoreOutputEvery) continue;
            pod.StoredLines = lines;
            pod.OutputStoredAt = time.GetTimestamp();
            writes.Add(store.PutOutputAsync(endpointId, pod.Id, running.LastOutput, ct));
        }

        return Task.WhenAll(writes);
    }
}
