using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Machine;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Pods;

/// <summary>Takes one pod through the steps from its start to its exit.</summary>
internal sealed partial class PodLifecycle(
    IPodHost podHost,
    PodRecords records,
    PodReadiness readiness,
    WorkerLogWriter logs,
    SecretSource secrets,
    TimeProvider time,
    ILogger<PodLifecycle> logger)
{
    /// <summary>
    /// Age from which an accepted order is not executed: a gateway that was suspended for so long may have been
    /// considered lost.
    /// </summary>
    private static readonly TimeSpan StaleOrder = HostLease.Duration / 2;

    private readonly ILogger<PodLifecycle> logger = logger;

    /// <summary>
    /// Runs the steps of a pod until it has exited, and returns how it exited. An exception in any step ends the pod:
    /// an unmanaged pod would run, and count as capacity, indefinitely.
    /// </summary>
    /// <param name="pod">The pod.</param>
    /// <param name="life">The steps from the start to the exit; returns how the pod exited.</param>
    public async Task<string> CompleteAsync(ManagedPod pod, Func<Task<string>> life)
    {
        await Task.Yield();
        try
        {
            return await life();
        }
        catch (InvalidOperationException e) when (pod.Running is null)
        {
            return e.Message;
        }
        catch (OperationCanceledException) when (pod.Running is null && pod.StopRequested.IsCompleted)
        {
            return "cancelled while it was starting";
        }
        catch (Exception e)
        {
            WorkerOperationFailed(pod.Id, pod.EndpointId, e);
            await AbandonAsync(pod);
            return $"stopped after an internal error: {e.Message}";
        }
    }

    /// <summary>Starts the pod and then runs it.</summary>
    public async Task<string> StartAsync(ManagedPod pod, PodSpec order, long orderedAt)
    {
        if (time.GetElapsedTime(orderedAt) > StaleOrder)
        {
            pod.RequestStop();
            throw new InvalidOperationException("the order is too old to execute, because this gateway was suspended");
        }

        using var cancel = new CancellationTokenSource();
        var start = podHost.StartAsync(secrets.Resolve(order), step => records.ReportProgress(pod, step), cancel.Token);
        if (await Task.WhenAny(start, pod.StopRequested) != start) await cancel.CancelAsync();
        var running = await start;
        pod.Running = running;
        logs.Attach(pod.EndpointId, running);
        var mark = running.ProcessId is { } process ? ProcessIdentity.Create(process) : null;
        pod.TryMove(
            r => r with
            {
                ProcessId = running.ProcessId, RunsAs = running.Name, Mark = mark, Reason = "started", Download = null,
            },
            PodState.Starting);
        WorkerStarted(pod.Id, pod.EndpointId, running.Name);
        await records.PersistAsync(pod);
        return await RunAsync(pod, running);
    }

    /// <summary>Runs a pod from its start to its exit, and returns how it exited.</summary>
    public async Task<string> RunAsync(ManagedPod pod, RunningPod running)
    {
        // An adopted pod may be ready already.
        var why = pod.Record.State == PodState.Starting ? await readiness.WaitReadyAsync(pod, running) : "";
        if (why.Length > 0) await podHost.KillAsync(running);
        var next = await Task.WhenAny(running.Exited, pod.StopRequested, pod.Released, running.Leaving);
        if (next == running.Leaving)
        {
            await LeaveAsync(pod, await running.Leaving);
            next = await Task.WhenAny(running.Exited, pod.StopRequested, pod.Released);
        }

        if (next == pod.Released)
        {
            running.Model?.Dispose();
            running.Dispose();
            return "released";
        }

        if (next == pod.StopRequested) await podHost.StopAsync(running);
        var exit = await running.Exited;
        if (running.Unsure) await MarkExitUnknownAsync(pod, exit);
        await podHost.ForgetAsync(running, records.Leaving);
        return why.Length > 0 ? why : exit;
    }

    /// <summary>
    /// Gives a pod that its host wants to end no more requests. It exits when those that it has are finished, or when
    /// the host's grace period is over.
    /// </summary>
    private async Task LeaveAsync(ManagedPod pod, string why)
    {
        WorkerLeaves(pod.Id, pod.EndpointId, why);
        await records.PersistDrainAsync(pod);
        if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = why },
            PodState.Starting, PodState.Ready, PodState.Draining)) await records.PersistAsync(pod);
    }

    /// <summary>
    /// Takes a pod whose exit was not observed out of dispatch. It keeps its devices until its host confirms that it no
    /// longer runs.
    /// </summary>
    private async Task MarkExitUnknownAsync(ManagedPod pod, string why)
    {
        await records.PersistDownAsync(pod);
        pod.TryMove(r => r with { State = PodState.Stopping, Reason = why },
            PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
        await records.PersistAsync(pod);
    }

    /// <summary>Kills a pod after an internal error.</summary>
    private async Task AbandonAsync(ManagedPod pod)
    {
        if (pod.Running is not { } running) return;
        try
        {
            await podHost.KillAsync(running);
            await running.Exited;
            await podHost.ForgetAsync(running, records.Leaving);
        }
        catch (Exception e)
        {
            WorkerOperationFailed(pod.Id, pod.EndpointId, e);
        }
    }

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} started as {What}")]
    private partial void WorkerStarted(string worker, string endpoint, string what);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} gets no more requests: {Why}")]
    private partial void WorkerLeaves(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint}: an operation failed with an internal error")]
    private partial void WorkerOperationFailed(string worker, string endpoint, Exception e);
}
