using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Shared;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Records the exit of a pod: removes it from dispatch and from this host's pods, and removes its record or marks it as
/// failed.
/// </summary>
internal sealed partial class PodTermination(
    ManagedPods pods,
    PodRecords records,
    WorkerLogWriter logs,
    TimeProvider time,
    ILogger<PodTermination> logger)
{
    /// <summary>Failed pods that stay listed for an endpoint, so that operators can read why they failed.</summary>
    private const int KeptFailures = 3;

    private static readonly Counter<long> Exits = SluiceMeter.Meter.CreateCounter<long>(
        MetricNames.WorkerExits, "{worker}",
        "Workers that exited, by reason: stopped on request, or failed.");

    private readonly ILogger<PodTermination> logger = logger;

    /// <summary>Raised when a pod has exited.</summary>
    public event Action<PodEnd>? Ended;

    /// <summary>Records the exit of a pod.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="why">How it exited.</param>
    public async Task RecordAsync(ManagedPod pod, string why)
    {
        if (pod.Released.IsCompleted)
        {
            logs.Release(pod.Id);
            return;
        }

        // A pod that its host ends, because its node is drained for example, has not failed.
        var requested = pod.StopRequested.IsCompleted || pod.Running?.Leaving.IsCompleted == true;
        var last = pod.Record;
        logs.End(pod.EndpointId, pod.Id, requested ? $"Stopped, {last.Reason}: {why}" : $"Failed: {why}");
        try
        {
            await RecordAsync(pod, requested, why);
        }
        catch (Exception e)
        {
            WorkerOperationFailed(pod.Id, pod.EndpointId, e);
        }

        pods.Remove(pod);
        Ended?.Invoke(new PodEnd(pod.Record, !requested,
            last.ReadyAt is { } ready && time.GetUtcNow() - ready >= StartBackoff.ProvenAfter));
    }

    private async Task RecordAsync(ManagedPod pod, bool requested, string why)
    {
        await records.PersistDownAsync(pod);
        Exits.Add(1, Tag("endpoint", pod.EndpointId), Tag("reason", requested ? "stopped" : "failed"));
        if (requested)
        {
            pods.Remove(pod);
            await records.PersistRemovalAsync(pod);
            WorkerStopped(pod.Id, pod.EndpointId, why);
        }
        else
        {
            WorkerFailed(pod.Id, pod.EndpointId, why);
            var output = pod.Running?.LastOutput ?? [];
            pod.TryMove(r => r with { State = PodState.Failed, Reason = why, LastOutput = output },
                PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
            await records.PersistAsync(pod);
            pods.Remove(pod);
            await records.ForgetFailuresAsync(pod.EndpointId, KeptFailures);
        }
    }

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} stopped: {Why}")]
    private partial void WorkerStopped(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} failed: {Why}")]
    private partial void WorkerFailed(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint}: an operation failed with an internal error")]
    private partial void WorkerOperationFailed(string worker, string endpoint, Exception e);
}
