using System.Collections.Concurrent;
using System.Diagnostics;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.Usage;
using Sluice.Shared;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Runs the attempts that dispatch claims, and stores their outcome: a result, a return to the queue, or a failure.
/// Outcomes are kept until Redis has stored them. Dispatch stores results, and returns their slots in the same call.
/// Redis accepts an outcome only if the fence of the attempt is current.
/// </summary>
public sealed partial class JobRunner(Dispatcher dispatcher, JobStore store, JobSignals signals, CatalogWatcher catalog,
    JobAttempt attempts, PayloadShare payloads, UsageRecorder recorder, BudgetGuard budgets, GatewayMetrics metrics,
    TimeProvider time, ILogger<JobRunner> logger)
    : IJobRunner, IHostedService, IDisposable
{
    private const string GatewayStops = "The gateway stopped.";

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Task, bool> running = [];
    private readonly CancellationTokenSource stopping = new();

    /// <summary>
    /// Whether this gateway claims jobs. A gateway without its payload share cannot read inputs or store outputs, so
    /// other gateways run the jobs.
    /// </summary>
    public bool TakesJobs => payloads.IsAvailable;

    /// <summary>Starts an attempt in the background.</summary>
    public void Start(JobGrant grant)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        running[done.Task] = true;
        _ = Task.Run(async () =>
        {
            try
            {
                await RunAsync(grant);
            }
            finally
            {
                running.TryRemove(done.Task, out _);
                done.SetResult();
            }
        });
    }

    /// <summary>Starts claiming jobs.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        dispatcher.Runner = this;
        return Task.CompletedTask;
    }

    /// <summary>
    /// Stops claiming jobs, and waits until the running attempts finish or the shutdown timeout ends. The remaining
    /// jobs return to the queue, and their attempts do not count.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        dispatcher.Runner = null;
        // A claim that is in progress can still start an attempt.
        while (!running.IsEmpty && !cancellationToken.IsCancellationRequested)
            await Task.WhenAny(Task.WhenAll(running.Keys),
                Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken));
        await stopping.CancelAsync();
        await Task.WhenAll(running.Keys);
    }

    public void Dispose() => stopping.Dispose();

    private async Task RunAsync(JobGrant grant)
    {
        var (endpoint, claim) = (grant.EndpointId, grant.Claim);
        CrashPoint.Pass("after-claim");
        try
        {
            var end = await GetOutcomeAsync(grant);
            CrashPoint.Pass("after-answer");
            // This must precede the store: after it, dispatch could assign the job to the same worker again.
            var alone = end.WorkerBroke && grant.Slot?.MarkWorkerUnreachable() == true;
            await StoreAsync(grant, end, ClassifyLoss(end, grant.Slot, alone));
            CrashPoint.Pass("after-end");
            signals.Changed(endpoint, claim.Id);
        }
        catch (Exception e) when (stopping.IsCancellationRequested && RedisErrors.Is(e))
        {
            // The outcome cannot be stored. When the lease of this gateway expires, another gateway runs the job again.
            OutcomeStoreRetried(e.Message);
        }
        catch (Exception e)
        {
            JobRunFailed(e, claim.Id, endpoint);
            await FailAsync(grant);
        }
        finally
        {
            grant.Dispose();
        }
    }

    /// <summary>Fails the job after an internal error. Otherwise the job would be claimed again without end.</summary>
    private async Task FailAsync(JobGrant grant)
    {
        try
        {
            await WaitUntilStoredAsync(grant.FailWithoutRetryAsync(new JobError(JobErrors.Gateway,
                "Internal error of the gateway. Its log contains the job id.", true)));
            signals.Changed(grant.EndpointId, grant.Claim.Id);
        }
        catch (Exception e)
        {
            JobRunFailed(e, grant.Claim.Id, grant.EndpointId);
        }
    }

    private async Task<AttemptOutcome> GetOutcomeAsync(JobGrant grant)
    {
        var claim = grant.Claim;
        if (claim.Why == "expired") return AttemptOutcome.Failed(JobStatus.TimedOut, JobEnds.WaitedTooLong);
        if (claim.Why == "exhausted")
            return AttemptOutcome.Failed(JobStatus.Failed, new JobError(JobErrors.Exhausted,
                "No attempt of the job is left: each one lost its worker or, with jobs.retryErrors, failed. See the "
                + "field attempts. The job is now a dead letter. "
                + "Retry it with POST /v2/{endpoint}/retry/{id}.", false));
        if (grant.Slot is null)
            return AttemptOutcome.Requeue("The worker stopped before the attempt began.", counted: false);
        if (stopping.IsCancellationRequested) return AttemptOutcome.Requeue(GatewayStops, counted: false);
        Deployment? deployment;
        try
        {
            deployment = await catalog.FindAsync(grant.EndpointId, stopping.Token);
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return AttemptOutcome.Requeue($"Redis is not reachable: {e.Message}", counted: false);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return AttemptOutcome.Requeue(GatewayStops, counted: false);
        }

        if (deployment is not null) return await AttemptAsync(deployment, grant);
        return catalog.State.IsLost
            ? await WaitForDeclarationsAsync()
            : AttemptOutcome.Failed(JobStatus.Failed,
                new JobError(JobErrors.EndpointGone, "The endpoint was deleted.", false));
    }

    /// <summary>
    /// Returns the job to the queue after a pause: Redis has lost all declarations, and the manifest restores them. The
    /// endpoint was not deleted.
    /// </summary>
    private async Task<AttemptOutcome> WaitForDeclarationsAsync()
    {
        await Task.WhenAny(Task.Delay(LongestPause, time, stopping.Token));
        return AttemptOutcome.Requeue("Redis has lost the declarations.", counted: false);
    }

    private async Task<AttemptOutcome> AttemptAsync(Deployment deployment, JobGrant grant)
    {
        var started = Stopwatch.GetTimestamp();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(grant.Stopped, stopping.Token);
        var claim = grant.Claim;
        using var trace = JobTrace.StartAttempt(grant.EndpointId, claim.Id, claim.Attempt, claim.Trace, claim.Queued,
            time.GetUtcNow(), grant.Slot!.Worker);
        var end = await attempts.RunAsync(deployment, grant, trace, stop.Token);
        trace?.SetOutcome(end.Kind.ToString().ToLowerInvariant(), end.Error?.Code);
        metrics.Attempted(grant.EndpointId, end.Kind.ToString().ToLowerInvariant(),
            TimesOf(grant, Stopwatch.GetElapsedTime(started)), end.Kind is AttemptKind.Failed or AttemptKind.Lost);
        if (end.Kind == AttemptKind.Stopped && !grant.Stopped.IsCancellationRequested)
            return AttemptOutcome.Requeue(GatewayStops, counted: false);
        return end;
    }

    /// <summary>Returns where the time of an attempt went, since the job was last queued.</summary>
    private RequestTimes TimesOf(JobGrant grant, TimeSpan took)
    {
        var queued = grant.Claim.Queued;
        if (queued == default) return new RequestTimes(TimeSpan.Zero, TimeSpan.Zero, took, null, took);
        var total = time.GetUtcNow() - queued;
        var waited = total > took ? total - took : TimeSpan.Zero;
        var cold = (grant.Slot?.Worker.ReadyAt ?? queued) - queued;
        cold = cold < TimeSpan.Zero ? TimeSpan.Zero : cold < waited ? cold : waited;
        return new RequestTimes(waited - cold, cold, took, null, waited + took);
    }

    /// <summary>
    /// Classifies the loss of an attempt. A worker with concurrency 1 runs every job alone, so its jobs need no
    /// isolation.
    /// </summary>
    private static AttemptLoss ClassifyLoss(AttemptOutcome end, Slot? slot, bool alone) =>
        (end.Counted, end.WorkerLost, alone) switch
    {
        (false, _, _) => AttemptLoss.Free,
        (_, false, _) => AttemptLoss.Counted,
        _ when slot is { Worker.Concurrency: 1 } => AttemptLoss.Counted,
        (_, _, true) => AttemptLoss.Alone,
        _ => AttemptLoss.Shared,
    };

    private async Task StoreAsync(JobGrant grant, AttemptOutcome end, AttemptLoss loss)
    {
        var (endpoint, claim) = (grant.EndpointId, grant.Claim);
        switch (end.Kind)
        {
            case AttemptKind.Stopped:
                CountUsed(endpoint, claim, end.Used);
                break;
            case AttemptKind.Lost:
                CountUsed(endpoint, claim, end.Used);
                var requeued = await PersistAsync(() => store.RequeueAsync(
                    endpoint, claim.Id, claim.Fence, loss, end.Error!.Message, CancellationToken.None));
                if (requeued) JobRequeued(claim.Id, endpoint, claim.Attempt, end.Error!.Message);
                if (!requeued) ReportStale(endpoint, claim);
                dispatcher.JobQueued(endpoint);
                break;
            case AttemptKind.Failed:
                JobFailed(claim.Id, endpoint, claim.Attempt, end.Status, end.Error!.Code, end.Error.Message);
                ReportIfStale(endpoint, claim,
                    (await WaitUntilStoredAsync(grant.FailAsync(end.Status, end.Error, end.Used))).Ended, end.Used);
                break;
            case AttemptKind.Completed:
                await CompleteAsync(grant, end);
                break;
        }
    }

    /// <summary>
    /// Stores an output. The job has run and its result is in memory, so writes to a full or unavailable payload folder
    /// are retried for a while.
    /// </summary>
    private async Task CompleteAsync(JobGrant grant, AttemptOutcome end)
    {
        var since = time.GetTimestamp();
        while (true)
        {
            try
            {
                ReportIfStale(grant.EndpointId, grant.Claim,
                    (await WaitUntilStoredAsync(store.CompleteAsync(grant, end.Output, end.Ran, CancellationToken.None,
                    MaxBytes(grant), end.Used))).Ended, end.Used);
                return;
            }
            catch (PayloadException e)
            {
                var next = OutputRetry.Next(e.Fault, time.GetElapsedTime(since), stopping.IsCancellationRequested);
                OutputStoreFailed(grant.Claim.Id, grant.EndpointId, grant.Claim.Attempt, next, e.Fault,
                    e.InnerException?.Message ?? e.Message);
                if (next == OutputStep.Requeue)
                    await StoreAsync(grant, AttemptOutcome.Requeue($"The output could not be stored: {e.Message}",
                        counted: false) with { Used = end.Used }, AttemptLoss.Free);
                else if (next == OutputStep.Fail)
                    await StoreAsync(grant, AttemptOutcome.Failed(JobErrors.OutputLost,
                        $"The output could not be stored: {e.Message}", true) with { Used = end.Used },
                        AttemptLoss.Free);
                if (next != OutputStep.Retry) return;
            }

            using var wake = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token, grant.Stopped);
            await Task.WhenAny(Task.Delay(OutputRetry.Pause, time, wake.Token));
            // The job was cancelled, or another gateway owns it.
            if (grant.Stopped.IsCancellationRequested) return;
        }
    }

    private long MaxBytes(JobGrant grant) => catalog.Current.Find(grant.EndpointId)?.Endpoint.Jobs.MaxBytes ?? 0;

    /// <summary>
    /// Waits until dispatch has stored an outcome. When the gateway stops, the wait is 5 s. After that, other gateways
    /// take over the job when the lease expires.
    /// </summary>
    private async Task<EndResult> WaitUntilStoredAsync(Task<EndResult> stored)
    {
        try
        {
            return await stored.WaitAsync(stopping.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return await stored.WaitAsync(TimeSpan.FromSeconds(5), time);
        }
    }

    /// <summary>Counts an outcome that was rejected. Its worker worked nevertheless.</summary>
    private void ReportIfStale(string endpoint, JobClaim claim, bool isCurrent, WorkUsage used)
    {
        if (isCurrent)
        {
            _ = budgets.SettleJobAsync(endpoint, claim.Flow, claim.Id, 1, used);
            return;
        }

        CountUsed(endpoint, claim, used);
        ReportStale(endpoint, claim);
    }

    /// <summary>Counts what an attempt used that did not end its job.</summary>
    private void CountUsed(string endpoint, JobClaim claim, WorkUsage used)
    {
        recorder.Add(endpoint, used);
        _ = budgets.ChargeAsync(endpoint, claim.Flow, $"{claim.Id}@{claim.Fence}", used);
    }

    private void ReportStale(string endpoint, JobClaim claim)
    {
        metrics.Stale(endpoint);
        StaleOutcomeRejected(claim.Id, endpoint, claim.Attempt);
    }

    /// <summary>
    /// Retries a write until Redis responds. Otherwise the job would wait until the lease of this gateway expires.
    /// </summary>
    private async Task<T> PersistAsync<T>(Func<Task<T>> write)
    {
        for (var pause = FirstPause; ; pause = pause * 2 > LongestPause ? LongestPause : pause * 2)
        {
            try
            {
                return await write().WaitAsync(TimeSpan.FromSeconds(5), time);
            }
            catch (Exception e) when (RedisErrors.Is(e) && !stopping.IsCancellationRequested)
            {
                OutcomeStoreRetried(e.Message);
                await Task.Delay(pause, time);
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "Job {Job} of endpoint {Endpoint} requeued after attempt {Attempt} ({Reason})")]
    private partial void JobRequeued(string job, string endpoint, int attempt, string reason);

    [LoggerMessage(LogLevel.Information,
        "Job {Job} of endpoint {Endpoint} failed in attempt {Attempt} with status {Status}: {Code}: {Why}")]
    private partial void JobFailed(string job, string endpoint, int attempt, string status, string code, string why);

    [LoggerMessage(LogLevel.Warning,
        "Job {Job} of endpoint {Endpoint}: the outcome of attempt {Attempt} was dropped, because it is not the current "
        + "attempt")]
    private partial void StaleOutcomeRejected(string job, string endpoint, int attempt);

    [LoggerMessage(LogLevel.Warning, "Job outcome cannot be stored; the write is retried: {Error}")]
    private partial void OutcomeStoreRetried(string error);

    [LoggerMessage(LogLevel.Warning,
        "Job {Job} of endpoint {Endpoint}: the output of attempt {Attempt} cannot be stored; next step {Step}: "
        + "{Fault}: {Error}")]
    private partial void OutputStoreFailed(
        string job, string endpoint, int attempt, OutputStep step, PayloadFault fault, string error);

    [LoggerMessage(LogLevel.Error, "Job {Job} of endpoint {Endpoint} failed with an internal error")]
    private partial void JobRunFailed(Exception e, string job, string endpoint);
}
