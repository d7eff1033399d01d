using Microsoft.Extensions.Logging;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;

namespace Sluice.Core.Dispatch;

/// <summary>
/// The loop between one <see cref="EndpointDispatch"/> and Redis: takes what has gathered, runs the scripts for it one
/// after another, applies the answers.
/// </summary>
internal sealed partial class DispatchExchange(EndpointDispatch dispatch, DispatchScripts scripts,
    WorkerSlotStore workers, Func<IJobRunner?> runner, TimeProvider time, ILogger logger)
{
    /// <summary>A script that takes longer counts as unknown. Redis answers in well under 10 ms; R7 of the fault
    /// matrix wants a black hole detected within 5 s.</summary>
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(2);

    /// <summary>How long a request that must queue waits for an unreachable Redis before it is told so.</summary>
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private TimeSpan pause = FirstPause;

    public async Task RunAsync(CancellationToken ct)
    {
        while (await dispatch.Signal.WaitToReadAsync(ct))
        {
            dispatch.Signal.TryRead(out _);
            await Turn.AfterOthersAsync();
            while (dispatch.TakeWork() is { } work)
            {
                await StepAsync(work, ct);
                await Turn.AfterOthersAsync();
            }
        }
    }

    /// <summary>Tells Redis that this gateway holds nothing any more.</summary>
    public async Task LeaveAsync()
    {
        while (dispatch.TakeWork() is { HasReturns: true } work) await ReleaseAsync(work);
        await Timely(scripts.RenewAsync(dispatch.Keys, dispatch.Report(withQueued: false, TimeSpan.Zero)));
    }

    private async Task StepAsync(DispatchWork work, CancellationToken ct)
    {
        var (unsent, releasing) = (work.Fresh, false);
        try
        {
            foreach (var pod in work.Unreachable)
                await Timely(scripts.WorkerDrainAsync(dispatch.Keys, dispatch.EndpointId, pod));
            var freed = work.Abandoned.Count > 0
                && (await Timely(scripts.AbandonAsync(dispatch.Keys, work.Abandoned))).Freed > 0;
            if (work.Arrived.Count > 0) await GrantAsync(work.Arrived);
            // A lease comes first: without one nothing can be claimed.
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
        catch (Exception e) when (RedisDown.Is(e))
        {
            UnknownOutcome(dispatch.EndpointId, e.Message);
            dispatch.Fail(work, unsent, work.Unanswered, StorePatience, RedisFaults.Of(e).Sentence());
            await Task.Delay(pause, time, ct);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
        catch (Exception e) when (!ct.IsCancellationRequested || e is not OperationCanceledException)
        {
            StepFailed(e, dispatch.EndpointId);
            // One end may be why: those of a call that failed are sent again one by one, and one that fails by itself is told so.
            if (releasing && work.Ends is [{ Alone: true } one]) one.Stored.TrySetException(e);
            dispatch.Fail(work, unsent, work.Unanswered.Select(end => end with { Alone = releasing || end.Alone }), StorePatience, Cause(e));
            await Task.Delay(LongestPause, time, ct);
        }

        async Task<bool> RenewAsync(bool resync)
        {
            var report = dispatch.Report(resync, Leases.Length) with { Token = Fence.NewToken() };
            var answer = await Timely(scripts.RenewAsync(dispatch.Keys, report));
            if (!answer.Lost)
            {
                dispatch.Apply(answer, report);
                await ClaimAsync(answer.Orphans, runner());
                return true;
            }

            LeaseLost(dispatch.EndpointId, report.Holder);
            dispatch.Lose(unsent);
            // Under a new lease: jobs of the old one may wait again.
            dispatch.OnFree();
            return false;
        }
    }

    private async Task AcquireAsync(DispatchWork work)
    {
        var wishes = work.Fresh.ConvertAll(t => new TicketRequest(t.Id, t.Wish.Flow, Left(t),
            t.Wish.Front || t.Entry is not null, t.Wish.Weight, t.Wish.Isolated));
        var depthLimit = work.Fresh.Count == 0 ? 0 : work.Fresh.Max(t => t.Wish.MaxDepth);
        var answer = await Timely(scripts.AcquireAsync(dispatch.Keys, dispatch.EndpointId, work.Holder, work.FirstLease,
            Leases.Length, depthLimit, work.Spare, wishes));
        if (answer.Lost) dispatch.Lose(work.Fresh);
        else dispatch.Apply(answer, work.Fresh, await WorkersAsync(answer.Granted.Select(g => g.Pod).Concat(answer.Spare)));
    }

    private async Task ReleaseAsync(DispatchWork work)
    {
        // Once: what is claimed is run, also when the gateway begins to stop meanwhile.
        var takes = work.Ends is [{ Alone: true }] ? null : runner();
        var answer = await Timely(scripts.ReleaseAsync(dispatch.JobKeys, dispatch.EndpointId, work.Holder, work.GiveBack,
            work.Ends.ConvertAll(e => e.End), claims: takes is { TakesJobs: true }, takes is null ? "" : Fence.NewToken()));
        for (var i = 0; i < work.Ends.Count; i++) work.Ends[i].Stored.TrySetResult(answer.Ended[i]);
        if (answer.Lost && !work.FirstLease)
        {
            // It ended while nothing was held: an idle holder does not renew. A new one takes its place, and what waits is looked at again.
            dispatch.Lose([]);
            dispatch.OnFree();
            return;
        }

        dispatch.Apply(answer);
        await GrantAsync(answer.Granted);
        await ClaimAsync(answer.Claimed, takes);
    }

    private async Task ClaimAsync(JobClaim[] claims, IJobRunner? takes)
    {
        if (claims.Length == 0 || takes is null) return;
        var known = await WorkersAsync(claims.Where(c => c.Pod.Length > 0).Select(c => c.Pod));
        foreach (var grant in dispatch.Apply(claims, known)) takes.Start(grant);
    }

    private async Task GrantAsync(IReadOnlyCollection<SlotGrant> grants)
    {
        if (grants.Count > 0) dispatch.Apply(grants, await WorkersAsync(grants.Select(g => g.Pod)));
    }

    private async Task CheckBlockedAsync()
    {
        var (blocked, up) = await Timely(workers.BlockedAsync(dispatch.Keys));
        if (blocked is not null && !up) dispatch.Apply(blocked);
    }

    private async Task<IReadOnlyDictionary<string, WorkerAddress>> WorkersAsync(IEnumerable<string> pods)
    {
        var named = pods.Distinct().ToArray();
        var known = new Dictionary<string, WorkerAddress>();
        foreach (var pod in named)
            if (dispatch.Address(pod) is { } address) known[pod] = address;
        var unknown = named.Where(p => !known.ContainsKey(p)).ToArray();
        if (unknown.Length > 0)
            foreach (var address in await Timely(workers.AddressesAsync(dispatch.Keys, unknown)))
                known[address.PodId] = address;
        return known;
    }

    private static string Cause(Exception e) => RedisFaults.Of(e) is var fault and not RedisFault.None ? fault.Sentence()
        : "an error of the gateway itself; its log has the endpoint's name";

    private TimeSpan Left(Ticket ticket) => ticket.Wish.Deadline - time.GetElapsedTime(ticket.Since);

    private Task<T> Timely<T>(Task<T> command) => command.WaitAsync(CommandTimeout, time);

    [LoggerMessage(LogLevel.Warning, "Redis gave no answer for endpoint {Endpoint}; asking again: {Error}")]
    private partial void UnknownOutcome(string endpoint, string error);

    [LoggerMessage(LogLevel.Error, "Dispatch of endpoint {Endpoint} failed; going on")]
    private partial void StepFailed(Exception e, string endpoint);

    [LoggerMessage(LogLevel.Warning, "The slot lease {Holder} of endpoint {Endpoint} was ended by others; starting a new one")]
    private partial void LeaseLost(string endpoint, string holder);
}
