using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Shared;

namespace Sluice.ControlPlane.Pods;

/// <summary>Waits until a started pod is ready, and adds it to dispatch then.</summary>
internal sealed partial class PodReadiness(
    ReadinessProbe probe,
    PodRecords records,
    ReconcileQueue queue,
    TimeProvider time,
    ILogger<PodReadiness> logger)
{
    private const int MaxError = 300;

    private static readonly Histogram<double> ColdStart = SluiceMeter.Meter.CreateHistogram<double>(
        MetricNames.ColdStartStage, "s",
        "Duration of each stage of a cold start, from a worker's order to its readiness.");

    private readonly ILogger<PodReadiness> logger = logger;

    /// <summary>
    /// Waits for readiness and adds the pod to dispatch. Returns an empty text if it is ready or was requested to stop,
    /// and else the reason of the failure.
    /// </summary>
    public async Task<string> WaitReadyAsync(ManagedPod pod, RunningPod running)
    {
        using var waiting = new CancellationTokenSource();
        var ready = probe.WaitReadyAsync(running, seen => ReportNotReady(pod, seen), waiting.Token);
        if (await Task.WhenAny(ready, pod.StopRequested) != ready)
        {
            await waiting.CancelAsync();
            await Task.WhenAny(ready);
            return "";
        }

        if (await ready is { } why) return why;
        if (DescribeWrongDevices(pod, running) is { } wrong) return wrong;

        var now = time.GetUtcNow();
        var orderedAt = pod.OrderedAt ?? running.Ordered;
        var total = time.GetElapsedTime(orderedAt).TotalMilliseconds;
        var placed = time.GetElapsedTime(orderedAt, running.Ordered);
        var stages = running.Adopted
            ? running.Stages
            : StartStages.Combine(placed, running.HostStages, running.Stages, total);
        var cache = TokenCapacity.Choose(running.Deployment.Template.CacheTokens, running.Cache);
        running.Address = running.Address with
        {
            ReadyAt = now,
            Start = StartStages.Pack(stages),
            Cache = cache,
            Gpu = pod.Record.Gpu,
        };
        await records.PersistUpAsync(pod, running.Address);
        pod.TryMove(
            r => r with { State = PodState.Ready, ReadyAt = now, Stages = stages, Cache = cache, Reason = "ready",
                ReportedDevices = running.Devices?.Devices ?? [] },
            PodState.Starting);
        foreach (var stage in running.Adopted ? [] : stages)
        {
            var label = StartStages.Label(stage.Name);
            ColdStart.Record(stage.Ms / 1000, Tag("endpoint", pod.EndpointId), Tag("stage", label));
        }

        WorkerReady(pod.Id, pod.EndpointId, total);
        await records.PersistAsync(pod);
        await records.ForgetFailuresAsync(pod.EndpointId, keep: 0);
        queue.Request(pod.EndpointId);
        return "";
    }

    /// <summary>Returns which requirement of the template the worker's devices do not meet; null: none.</summary>
    private string? DescribeWrongDevices(ManagedPod pod, RunningPod running)
    {
        if (running.Deployment.Template.Gpu is not { } needs || running.Devices is not { } report) return null;
        if (report.Error is { } error)
            WorkerDevicesUnknown(pod.Id, pod.EndpointId, PrintableText.Escape(error, MaxError));
        return DeviceVerification.DescribeMismatch(needs, report);
    }

    private void ReportNotReady(ManagedPod pod, string seen)
    {
        WorkerNotReady(pod.Id, pod.EndpointId, seen);
        records.ReportProgress(pod, new StartProgress($"not ready: {seen}"));
    }

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} is not ready yet: {Probe}")]
    private partial void WorkerNotReady(string worker, string endpoint, string probe);

    [LoggerMessage(LogLevel.Warning,
        "Worker {Worker} of {Endpoint} does not know which GPUs it got, so they are not verified: {Error}")]
    private partial void WorkerDevicesUnknown(string worker, string endpoint, string error);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is ready after {Ms:0} ms")]
    private partial void WorkerReady(string worker, string endpoint, double ms);
}
