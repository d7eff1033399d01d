using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Dispatch;

/// <summary>
/// Runs the loop between one <see cref="EndpointExchange"/> and Redis: takes the pending operations, runs their scripts
/// one after another, and applies the answers.
/// </summary>
internal sealed partial class EndpointDispatchLoop(
    EndpointState state,
    EndpointDispatch dispatch,
    EndpointExchange exchange,
    DispatchScripts scripts,
    WorkerSlotStore workers,
    Func<IJobRunner?> runner,
    TimeProvider time,
    ILogger logger)
{
    /// <summary>
    /// The outcome of a script that takes longer is unknown. Redis answers in well under 10 ms; R7 of the fault matrix
    /// requires that an unreachable Redis is detected within 5 s.
    /// </summary>
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(2);

    /// <summary>How long a request that must queue waits for an unreachable Redis before it is rejected.</summary>
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private TimeSpan pause = FirstPause;

    public async Task RunAsync(CancellationToken ct)
    {
        while (await state.Signal.WaitToReadAsync(ct))
        {
            state.Signal.TryRead(out _);
            await ThreadPoolYield.AfterOthersAsync();
            while (exchange.TakeWork() is { } work)
            {
                await StepAsync(work, ct);
                await ThreadPoolYield.AfterOthersAsync();
            }
        }
    }

    /// <summary>Returns everything that this gateway holds to Redis.</summary>
    public async Task LeaveAsync()
    {
        while (exchange.TakeWork() is { HasReturns: true } work) await ReleaseAsync(work);
        await Timely(scripts.RenewAsync(state.Keys, exchange.Report(withQueued: false, TimeSpan.Zero)));
    }

    private async Task StepAsync(PendingOperations work, CancellationToken ct)
    {
        var (unsent, releasing) = (work.Fresh, false);
        try
        {
            foreach (var pod in work.Unreachable)
                await Timely(scripts.WorkerDrainAsync(state.Keys, state.EndpointId, pod));
            var freed = work.Abandoned.Count > 0
                && (await Timely(scripts.AbandonAsync(state.Keys, work.Abandoned))).Freed > 0;
            if (work.Arrived.Count > 0) await GrantAsync(work.Arrived);
            // Acquire the lease first: nothing can be claimed without one.
            if (work.GrantPass && work.FirstLease && unsent.Count == 0) await AcquireAsync(work with { Spare = 0 });
            releasing = true;
            if (work.HasReturns || work.GrantPass || freed) await ReleaseAsync(work);
            releasing = false;
            if (work.Renew && !await RenewAsync(work.Resync)) return;
            if (unsent.Count > 0) await AcquireAsync(work);
            unsent = [];
            if (work.CheckBlocked) await CheckBlockedAsync();
            pause = FirstPause;
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            DispatchOutcomeUnknown(state.EndpointId, e.Message);
            exchange.Fail(work, unsent, work.Unanswered, StorePatience, RedisFaults.Classify(e).Sentence());
            await Task.Delay(pause, time, ct);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
        catch (Exception e) when (!ct.IsCancellationRequested || e is not OperationCanceledException)
        {
            DispatchFailed(e, state.EndpointId);
            // One end may be the cause: the ends of a failed call are sent again one by one, and an end that fails
            // alone reports the error.
            if (releasing && work.Ends is [{ Alone: true } one]) one.Stored.TrySetException(e);
            exchange.Fail(
                work,
                unsent,
                work.Unanswered.Select(end => end with { Alone = releasing || end.Alone }),
                StorePatience,
                Cause(e));
            await Task.Delay(LongestPause, time, ct);
        }

        async Task<bool> RenewAsync(bool resync)
        {
            var report = exchange.Report(resync, Leases.Length) with { Token = Fence.NewToken() };
            var answer = await Timely(scripts.RenewAsync(state.Keys, report));
            if (!answer.Lost)
            {
                exchange.Apply(answer, report);
                await ClaimAsync(answer.Orphans, runner());
                return true;
            }

            SlotLeaseLost(state.EndpointId, report.Holder);
            exchange.Lose(unsent);
            // Run a grant pass under the new lease: jobs of the old lease may be queued again.
            dispatch.OnFree();
            return false;
        }
    }

    private async Task AcquireAsync(PendingOperations work)
    {
        var requests = work.Fresh.ConvertAll(t => new TicketRequest(
            t.Id,
            t.Request.Flow,
            Left(t),
            t.Request.Front || t.Entry is not null,
            t.Request.Weight,
            t.Request.Isolated,
            t.Request.Preferred,
            t.Request.Tokens));
        var depthLimit = work.Fresh.Count == 0 ? 0 : work.Fresh.Max(t => t.Request.MaxDepth);
        var answer = await Timely(scripts.AcquireAsync(state.Keys, state.EndpointId, work.Holder, work.FirstLease,
            Leases.Length, depthLimit, work.Spare, requests));
        if (answer.Lost) exchange.Lose(work.Fresh);
        else
            exchange.Apply(
                answer,
                work.Fresh,
                await WorkersAsync(answer.Granted.Select(g => g.Pod).Concat(answer.Spare)));
    }

    private async Task ReleaseAsync(PendingOperations work)
    {
        // Read the runner once: a claimed job is started even if the gateway begins to stop during the call.
        var jobRunner = work.Ends is [{ Alone: true }] ? null : runner();
        var answer = await Timely(scripts.ReleaseAsync(
            state.JobKeys,
            state.EndpointId,
            work.Holder,
            work.GiveBack,
            work.Ends.ConvertAll(e => e.End),
            claims: jobRunner is { TakesJobs: true },
            jobRunner is null ? "" : Fence.NewToken()));
        for (var i = 0; i < work.Ends.Count; i++) work.Ends[i].Stored.TrySetResult(answer.Ended[i]);
        if (answer.Lost && !work.FirstLease)
        {
            // The lease expired while this gateway held nothing: an idle holder does not renew. Start a new lease and
            // check the waiting tickets again.
            exchange.Lose([]);
            dispatch.OnFree();
            return;
        }

        exchange.Apply(answer);
        await GrantAsync(answer.Granted);
        await ClaimAsync(answer.Claimed, jobRunner);
    }

    private async Task ClaimAsync(JobClaim[] claims, IJobRunner? jobRunner)
    {
        if (claims.Length == 0 || jobRunner is null) return;
        var known = await WorkersAsync(claims.Where(c => c.Pod.Length > 0).Select(c => c.Pod));
        foreach (var grant in exchange.Apply(claims, known)) jobRunner.Start(grant);
    }

    private async Task GrantAsync(IReadOnlyCollection<SlotGrant> grants)
    {
        if (grants.Count > 0) exchange.Apply(grants, await WorkersAsync(grants.Select(g => g.Pod)));
    }

    private async Task CheckBlockedAsync()
    {
        var (blocked, up) = await Timely(workers.BlockedAsync(state.Keys));
        if (blocked is not null && !up) exchange.Apply(blocked);
    }

    private async Task<IReadOnlyDictionary<string, WorkerAddress>> WorkersAsync(IEnumerable<string> pods)
    {
        var named = pods.Distinct().ToArray();
        var known = new Dictionary<string, WorkerAddress>();
        foreach (var pod in named)
            if (dispatch.Address(pod) is { } address) known[pod] = address;
        var unknown = named.Where(p => !known.ContainsKey(p)).ToArray();
        if (unknown.Length > 0)
            foreach (var address in await Timely(workers.AddressesAsync(state.Keys, unknown)))
                known[address.PodId] = address;
        return known;
    }

    private static string Cause(Exception e) => RedisFaults.Classify(e) is var fault and not RedisFault.None
        ? fault.Sentence()
        : "The gateway failed to dispatch the request. Its log contains the error under the name of the endpoint.";

    private TimeSpan Left(Ticket ticket) => ticket.Request.Deadline - time.GetElapsedTime(ticket.Since);

    private Task<T> Timely<T>(Task<T> command) => command.WaitAsync(CommandTimeout, time);

    [LoggerMessage(LogLevel.Warning, "Redis did not answer for endpoint {Endpoint}; retrying: {Error}")]
    private partial void DispatchOutcomeUnknown(string endpoint, string error);

    [LoggerMessage(LogLevel.Error, "Dispatch of endpoint {Endpoint} failed; retrying")]
    private partial void DispatchFailed(Exception e, string endpoint);

    [LoggerMessage(LogLevel.Warning,
        "Slot lease {Holder} of endpoint {Endpoint} was ended by another gateway; starting a new lease")]
    private partial void SlotLeaseLost(string endpoint, string holder);
}
