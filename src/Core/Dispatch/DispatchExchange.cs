using Microsoft.Extensions.Logging;
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
        if (dispatch.TakeWork() is { GiveBack.Length: > 0 } work) await ReleaseAsync(work);
        await Timely(scripts.RenewAsync(dispatch.Keys, dispatch.Report(withQueued: false, TimeSpan.Zero)));
    }

    private async Task StepAsync(DispatchWork work, CancellationToken ct)
    {
        var unsent = work.Fresh;
        try
        {
            foreach (var pod in work.Unreachable)
                await Timely(scripts.WorkerDrainAsync(dispatch.Keys, dispatch.EndpointId, pod));
            var freed = work.Abandoned.Count > 0
                && (await Timely(scripts.AbandonAsync(dispatch.Keys, work.Abandoned))).Freed > 0;
            if (work.Arrived.Count > 0) await GrantAsync(work.Arrived);
            // A lease comes first: without one nothing can be claimed.
            if (work.GrantPass && work.FirstLease && unsent.Count == 0) await AcquireAsync(work with { Spare = 0 });
            if (work.GiveBack.Length > 0 || work.GrantPass || freed) await ReleaseAsync(work);
            if (work.Renew && !await RenewAsync(work.Resync)) return;
            if (unsent.Count > 0) await AcquireAsync(work);
            unsent = [];
            if (work.CheckBlocked) await CheckBlockedAsync();
            pause = FirstPause;
        }
        catch (Exception e) when (RedisDown.Is(e))
        {
            UnknownOutcome(dispatch.EndpointId, e.Message);
            dispatch.Fail(unsent, StorePatience);
            await Task.Delay(pause, time, ct);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            StepFailed(e, dispatch.EndpointId);
            dispatch.Fail(unsent, StorePatience);
            await Task.Delay(LongestPause, time, ct);
        }

        async Task AcquireAsync(DispatchWork w)
        {
            var wishes = w.Fresh.ConvertAll(t => new TicketRequest(t.Id, t.Wish.Flow, Left(t),
                t.Wish.Front || t.Entry is not null, t.Wish.Weight));
            var depthLimit = w.Fresh.Count == 0 ? 0 : w.Fresh.Max(t => t.Wish.MaxDepth);
            var answer = await Timely(scripts.AcquireAsync(dispatch.Keys, dispatch.EndpointId, w.Holder, w.FirstLease,
                Leases.Length, depthLimit, w.Spare, wishes));
            if (answer.Lost) dispatch.Lose(w.Fresh);
            else dispatch.Apply(answer, w.Fresh, await WorkersAsync(answer.Granted.Select(g => g.Pod).Concat(answer.Spare)));
        }

        async Task<bool> RenewAsync(bool resync)
        {
            var report = dispatch.Report(resync, Leases.Length);
            var answer = await Timely(scripts.RenewAsync(dispatch.Keys, report));
            if (!answer.Lost)
            {
                dispatch.Apply(answer, report);
                await ClaimAsync(answer.Orphans);
                return true;
            }

            LeaseLost(dispatch.EndpointId, report.Holder);
            dispatch.Lose(unsent);
            return false;
        }
    }

    private async Task ReleaseAsync(DispatchWork work)
    {
        var answer = await Timely(scripts.ReleaseAsync(dispatch.Keys, dispatch.EndpointId, work.Holder, work.GiveBack,
            claims: runner() is not null));
        if (answer.Lost && !work.FirstLease)
        {
            // It ended while nothing was held: an idle holder does not renew. A new one takes its place, and what waits is looked at again.
            dispatch.Lose([]);
            dispatch.OnFree();
            return;
        }

        dispatch.Apply(answer);
        await GrantAsync(answer.Granted);
        await ClaimAsync(answer.Claimed);
    }

    private async Task ClaimAsync(JobClaim[] claims)
    {
        if (claims.Length == 0) return;
        var known = await WorkersAsync(claims.Where(c => c.Pod.Length > 0).Select(c => c.Pod));
        foreach (var grant in dispatch.Apply(claims, known))
        {
            if (runner() is { } takes) takes.Start(grant);
            else throw new InvalidOperationException("a job was claimed, but nothing runs jobs here");
        }
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

    private TimeSpan Left(Ticket ticket) => ticket.Wish.Deadline - time.GetElapsedTime(ticket.Since);

    private Task<T> Timely<T>(Task<T> command) => command.WaitAsync(CommandTimeout, time);

    [LoggerMessage(LogLevel.Warning, "Redis gave no answer for endpoint {Endpoint}; asking again: {Error}")]
    private partial void UnknownOutcome(string endpoint, string error);

    [LoggerMessage(LogLevel.Error, "Dispatch of endpoint {Endpoint} failed; going on")]
    private partial void StepFailed(Exception e, string endpoint);

    [LoggerMessage(LogLevel.Warning, "The slot lease {Holder} of endpoint {Endpoint} was ended by others; starting a new one")]
    private partial void LeaseLost(string endpoint, string holder);
}
