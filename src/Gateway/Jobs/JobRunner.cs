using System.Collections.Concurrent;
using System.Diagnostics;
using Sluice.Core;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Runs the attempts that dispatch claims, and stores how they end: a result, another attempt, or a failure. What is to be
/// stored is kept until Redis took it: results by dispatch, which gives their slots back in the same call. The fence decides whether it counts.
/// </summary>
public sealed partial class JobRunner(Dispatcher dispatcher, JobStore store, JobSignals signals, CatalogWatcher catalog,
    JobAttempt attempts, PayloadShare payloads, GatewayMetrics metrics, TimeProvider time, ILogger<JobRunner> logger) : IJobRunner, IHostedService, IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Task, bool> running = [];
    private readonly CancellationTokenSource leaving = new();

    /// <summary>A gateway without its payload share cannot read inputs or store outputs: other gateways take the jobs.</summary>
    public bool TakesJobs => payloads.IsAvailable;

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

    public Task StartAsync(CancellationToken cancellationToken)
    {
        dispatcher.Runner = this;
        return Task.CompletedTask;
    }

    /// <summary>Claims no more; what runs may finish until the host's patience ends; the rest is queued again, as if it had not begun.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        dispatcher.Runner = null;
        // A claim that was under way may still come.
        while (!running.IsEmpty && !cancellationToken.IsCancellationRequested)
            await Task.WhenAny(Task.WhenAll(running.Keys), Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken));
        await leaving.CancelAsync();
        await Task.WhenAll(running.Keys);
    }

    public void Dispose() => leaving.Dispose();

    private async Task RunAsync(JobGrant grant)
    {
        var (endpoint, claim) = (grant.EndpointId, grant.Claim);
        CrashPoint.Pass("after-claim");
        try
        {
            var end = await EndOfAsync(grant);
            CrashPoint.Pass("after-answer");
            // First: queued again, the job must not be given to the same worker.
            var alone = end.WorkerBroke && grant.Slot?.Broken() == true;
            await StoreAsync(grant, end, LossOf(end, grant.Slot, alone));
            CrashPoint.Pass("after-end");
            signals.Changed(endpoint, claim.Id);
        }
        catch (Exception e) when (leaving.IsCancellationRequested && RedisDown.Is(e))
        {
            // Its end is not known to be bad: the end of this gateway's lease tells others to run it again.
            CannotStore(e.Message);
        }
        catch (Exception e)
        {
            Bug(e, endpoint, claim.Id);
            await GiveUpAsync(grant);
        }
        finally
        {
            grant.Dispose();
        }
    }

    /// <summary>After a bug: left as it is the job would be claimed again and again.</summary>
    private async Task GiveUpAsync(JobGrant grant)
    {
        try
        {
            await StoredAsync(grant.GiveUpAsync(new JobError(JobErrors.Gateway, "an error of the gateway itself; its log has this job's id", true)));
            signals.Changed(grant.EndpointId, grant.Claim.Id);
        }
        catch (Exception e)
        {
            Bug(e, grant.EndpointId, grant.Claim.Id);
        }
    }

    private async Task<AttemptEnd> EndOfAsync(JobGrant grant)
    {
        var claim = grant.Claim;
        if (claim.Why == "expired") return AttemptEnd.Failed(JobStatus.TimedOut, JobEnds.WaitedTooLong);
        if (claim.Why == "exhausted")
            return AttemptEnd.Failed(JobStatus.Failed, new JobError(JobErrors.Exhausted,
                "every attempt that the job may have lost its worker; see attempts. It is a dead letter now: retry it by hand", false));
        if (grant.Slot is null) return AttemptEnd.Again("the worker was gone before the attempt began", counted: false);
        if (leaving.IsCancellationRequested) return AttemptEnd.Again("the gateway stops", counted: false);
        Deployment? deployment;
        try
        {
            deployment = await catalog.FindAsync(grant.EndpointId, leaving.Token);
        }
        catch (Exception e) when (RedisDown.Is(e))
        {
            return AttemptEnd.Again($"Redis could not be asked: {e.Message}", counted: false);
        }
        catch (OperationCanceledException) when (leaving.IsCancellationRequested)
        {
            return AttemptEnd.Again("the gateway stops", counted: false);
        }

        return deployment is not null ? await AttemptAsync(deployment, grant)
            : AttemptEnd.Failed(JobStatus.Failed, new JobError(JobErrors.EndpointGone, "the endpoint was deleted", false));
    }

    private async Task<AttemptEnd> AttemptAsync(Deployment deployment, JobGrant grant)
    {
        var started = Stopwatch.GetTimestamp();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(grant.Stopped, leaving.Token);
        var end = await attempts.RunAsync(deployment, grant, stop.Token);
        metrics.Attempted(grant.EndpointId, end.Kind, Stopwatch.GetElapsedTime(started));
        if (end.Kind == AttemptKind.Stopped && !grant.Stopped.IsCancellationRequested)
            return AttemptEnd.Again("the gateway stopped", counted: false);
        return end;
    }

    /// <summary>A worker that takes one job at a time runs every job alone: nothing has to be isolated.</summary>
    private static AttemptLoss LossOf(AttemptEnd end, Slot? slot, bool alone) => (end.Counted, end.WorkerLost, alone) switch
    {
        (false, _, _) => AttemptLoss.Free,
        (_, false, _) => AttemptLoss.Counted,
        _ when slot is { Worker.Concurrency: 1 } => AttemptLoss.Counted,
        (_, _, true) => AttemptLoss.Alone,
        _ => AttemptLoss.Shared,
    };

    private async Task StoreAsync(JobGrant grant, AttemptEnd end, AttemptLoss loss)
    {
        var (endpoint, claim) = (grant.EndpointId, grant.Claim);
        switch (end.Kind)
        {
            case AttemptKind.Stopped:
                break;
            case AttemptKind.Lost:
                AttemptLost(endpoint, claim.Id, claim.Attempt, end.Error!.Message);
                Judge(endpoint, claim, await PersistAsync(() =>
                    store.RequeueAsync(endpoint, claim.Id, claim.Fence, loss, end.Error.Message, CancellationToken.None)));
                dispatcher.JobQueued(endpoint);
                break;
            case AttemptKind.Failed:
                JobFailed(endpoint, claim.Id, claim.Attempt, end.Status, end.Error!.Code, end.Error.Message);
                Judge(endpoint, claim, (await StoredAsync(grant.FailAsync(end.Status, end.Error))).Ended);
                break;
            case AttemptKind.Completed:
                await CompleteAsync(grant, end);
                break;
        }
    }

    /// <summary>Stores an output. A folder that is full or away has a while to come back: the job has been run, and its result is here.</summary>
    private async Task CompleteAsync(JobGrant grant, AttemptEnd end)
    {
        var since = time.GetTimestamp();
        while (true)
        {
            try
            {
                Judge(grant.EndpointId, grant.Claim, (await StoredAsync(store.CompleteAsync(grant, end.Output, end.Ran, CancellationToken.None, MaxBytes(grant)))).Ended);
                return;
            }
            catch (PayloadException e)
            {
                var next = OutputRetry.Next(e.Fault, time.GetElapsedTime(since), leaving.IsCancellationRequested);
                OutputNotStored(grant.EndpointId, grant.Claim.Id, grant.Claim.Attempt, next, e.Fault, e.InnerException?.Message ?? e.Message);
                if (next == OutputStep.GiveBack)
                    await StoreAsync(grant, AttemptEnd.Again($"its output could not be stored: {e.Message}", counted: false), AttemptLoss.Free);
                else if (next == OutputStep.Fail)
                    await StoreAsync(grant, AttemptEnd.Failed(JobErrors.OutputLost, $"the output could not be stored: {e.Message}", true), AttemptLoss.Free);
                if (next != OutputStep.Retry) return;
            }

            using var wake = CancellationTokenSource.CreateLinkedTokenSource(leaving.Token, grant.Stopped);
            await Task.WhenAny(Task.Delay(OutputRetry.Pause, time, wake.Token));
            // It was cancelled, or another gateway has it.
            if (grant.Stopped.IsCancellationRequested) return;
        }
    }

    private long MaxBytes(JobGrant grant) => catalog.Current.Find(grant.EndpointId)?.Endpoint.Jobs.MaxBytes ?? 0;

    /// <summary>Waits for dispatch to store an end; when the gateway leaves, a moment only: then the end of its lease tells others.</summary>
    private async Task<EndResult> StoredAsync(Task<EndResult> stored)
    {
        try
        {
            return await stored.WaitAsync(leaving.Token);
        }
        catch (OperationCanceledException) when (leaving.IsCancellationRequested)
        {
            return await stored.WaitAsync(TimeSpan.FromSeconds(5), time);
        }
    }

    private void Judge(string endpoint, JobClaim claim, bool held)
    {
        if (held) return;
        metrics.Stale(endpoint);
        Stale(endpoint, claim.Id, claim.Attempt);
    }

    /// <summary>Repeats a write until Redis has answered: without that a job would wait for the end of a lease.</summary>
    private async Task<T> PersistAsync<T>(Func<Task<T>> write)
    {
        for (var pause = FirstPause; ; pause = pause * 2 > LongestPause ? LongestPause : pause * 2)
        {
            try
            {
                return await write().WaitAsync(TimeSpan.FromSeconds(5), time);
            }
            catch (Exception e) when (RedisDown.Is(e) && !leaving.IsCancellationRequested)
            {
                CannotStore(e.Message);
                await Task.Delay(pause, time);
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "Job {Job} of {Endpoint}: attempt {Attempt} came to nothing, it is queued again: {Why}")]
    private partial void AttemptLost(string endpoint, string job, int attempt, string why);

    [LoggerMessage(LogLevel.Information, "Job {Job} of {Endpoint}: attempt {Attempt} ended it {Status}: {Code} {Why}")]
    private partial void JobFailed(string endpoint, string job, int attempt, string status, string code, string why);

    [LoggerMessage(LogLevel.Warning, "Job {Job} of {Endpoint}: attempt {Attempt} is not its present one; what it came to is dropped")]
    private partial void Stale(string endpoint, string job, int attempt);

    [LoggerMessage(LogLevel.Warning, "What a job came to cannot be stored now; trying again: {Error}")]
    private partial void CannotStore(string error);

    [LoggerMessage(LogLevel.Warning, "Job {Job} of {Endpoint}: the output of attempt {Attempt} cannot be stored yet; next: {Step} ({Fault}: {Error})")]
    private partial void OutputNotStored(string endpoint, string job, int attempt, OutputStep step, PayloadFault fault, string error);

    [LoggerMessage(LogLevel.Error, "Job {Job} of {Endpoint} could not be run: an error of the gateway itself")]
    private partial void Bug(Exception e, string endpoint, string job);
}
