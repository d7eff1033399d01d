using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// Takes the pending operations of one endpoint for Redis, and applies the answers of Redis to the waiting tickets, the
/// leased slots and the running jobs.
/// </summary>
internal sealed class EndpointExchange(EndpointState state, EndpointDispatch dispatch, TimeProvider time)
{
    /// <summary>
    /// The most slots to lease in addition to those of the tickets: enough that a growing load rarely needs another
    /// call to Redis.
    /// </summary>
    private const int MaxSpare = 32;

    /// <summary>
    /// Takes all pending operations, or returns null if there are none. The caller must apply or fail them.
    /// </summary>
    public PendingOperations? TakeWork()
    {
        lock (state.Gate)
        {
            // An idle slot serves no text at a worker with a limit of tokens: only Redis knows the room of the worker.
            var needsTokens = state.Slots.HasTokenLimits && state.Waiting.HasFreshTokens;
            var spare = state.Lease.IsContended || needsTokens ? 0 : Math.Clamp(state.Usage.Peak, 1, MaxSpare);
            var work = state.Pending.Build(state.Lease, state.Waiting, spare);
            return work.IsEmpty ? null : work;
        }
    }

    /// <summary>Creates the report of this gateway for the next renewal.</summary>
    public RenewReport Report(bool withQueued, TimeSpan length)
    {
        lock (state.Gate)
        {
            var used = state.Usage.TakeReport();
            var account = state.Pending.WithReturns(state.Slots.Account(state.Tokens.Recount));
            return new RenewReport(state.Lease.Holder, length, used.Busy, used.Completed, account,
                state.Pending.Unacknowledged(), state.Jobs.Keys(), withQueued ? state.Waiting.Entries() : [])
            {
                ServedMs = used.ServedMs,
                Unowned = state.Usage.ForJobs - state.Jobs.SlotsInUse,
            };
        }
    }

    public void Apply(AcquireAnswer answer, List<Ticket> sent, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        lock (state.Gate)
        {
            var byId = sent.ToDictionary(t => t.Id);
            state.Lease.OnAcquired(answer.Holders);
            SetDepth(answer.Depth);
            foreach (var (id, pod) in answer.Granted) Grant(byId[id], byId[id].Request.Tokens, pod, workers);
            foreach (var (id, entry) in answer.Queued) state.Waiting.Enqueue(byId[id], entry);
            // Only the release script grants isolated tickets.
            if (answer.Queued.Any(q => byId[q.Id].Request.Isolated)) state.Pending.RequestGrantPass();
            foreach (var (id, why) in answer.Refused)
                byId[id].TryComplete(why == "full"
                    ? AcquireResult.Full(byId[id].Request, state.Usage.Rate, answer.Depth)
                    : AcquireResult.Blocked(WorkerSlotStore.ReadBlocked(answer.BlockedReason)!, time.GetUtcNow()));
            var hasTokens = sent.Exists(t => t.Request.Tokens > 0);
            foreach (var pod in answer.Spare)
            {
                if (!workers.TryGetValue(pod, out var worker)) continue;
                if (state.Lease.IsContended || (hasTokens && worker.Cache is not null)) state.Pending.GiveBack(pod, 1);
                else if (state.Waiting.TakeNext(mayHaveTokens: worker.Cache is null) is { } ticket)
                    Grant(ticket, 0, pod, workers);
                else state.Slots.Add(worker, inUse: 0, idle: 1);
            }
        }
    }

    /// <summary>Applies slots that were granted to queued tickets.</summary>
    public void Apply(IEnumerable<SlotGrant> grants, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        lock (state.Gate)
            foreach (var grant in grants)
                Grant(state.Waiting.TakeQueued(grant.Ticket), grant.Tokens, grant.Pod, workers, grant.IsIsolated);
    }

    public void Apply(ReleaseAnswer answer)
    {
        lock (state.Gate)
        {
            SetDepth(answer.Depth);
            if (!answer.More) return;
            state.Pending.RequestGrantPass();
        }

        state.Notify();
    }

    /// <summary>Registers claimed jobs and returns their attempts, to be started.</summary>
    public List<JobGrant> Apply(IEnumerable<JobClaim> claims, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        var grants = new List<JobGrant>();
        lock (state.Gate)
        {
            foreach (var claim in claims)
            {
                // Check this before slots are booked: a known claim already has its slot.
                if (state.Jobs.Contains(JobGrant.KeyOf(claim))) continue;
                Slot? slot = null;
                if (claim.Pod.Length > 0 && workers.TryGetValue(claim.Pod, out var worker))
                {
                    var use = state.Slots.Add(worker, inUse: claim.IsIsolated ? worker.Concurrency : 1, idle: 0);
                    slot = dispatch.Enter(use, claim.Tokens, claim.IsIsolated, isForJob: true);
                }

                var grant = new JobGrant(dispatch, claim, slot);
                state.Jobs.Add(grant);
                grants.Add(grant);
            }
        }

        return grants;
    }

    /// <summary>Applies the answer to a renewal. Grants in it are left to the next exchange.</summary>
    public void Apply(RenewAnswer answer, RenewReport report)
    {
        // A stop message is sent once, and may arrive before this gateway knows that it runs the job. The renewal
        // covers this case.
        foreach (var key in answer.Ended) FindJob(key)?.Stop();
        lock (state.Gate)
        {
            state.Lease.OnRenewed(answer.Holders);
            state.Pending.OnRenewed(report.Accepted);
            SetDepth(answer.Depth);
            foreach (var grant in answer.Unaccepted) state.Pending.AddArrived(grant);
            foreach (var pod in answer.NotReady) state.CloseWorker(pod);
            foreach (var entry in answer.Missing) state.Waiting.SendAgain(entry);
            state.Pending.SetGrantPass(answer.Depth > 0);
            if (answer.Depth == 0 && answer.Unaccepted.Length == 0 && answer.NotReady.Length == 0
                && answer.Missing.Length == 0) return;
        }

        state.Notify();
    }

    /// <summary>Rejects the waiting requests: no worker is running and none can start.</summary>
    public void Apply(BlockedStart blocked)
    {
        var refusal = AcquireResult.Blocked(blocked, time.GetUtcNow());
        lock (state.Gate) state.Waiting.RejectAll(refusal);
        state.Notify();
    }

    /// <summary>
    /// Handles a lost lease: this gateway no longer holds its slots, its tickets must be queued again, and other
    /// gateways run its jobs.
    /// </summary>
    public void Lose(IEnumerable<Ticket> sent)
    {
        List<JobGrant> lost;
        lock (state.Gate)
        {
            state.Lease.OnLost();
            state.Slots.Clear();
            state.Tokens.Clear();
            state.Pending.OnLeaseLost();
            state.Usage.ResetPeak();
            state.Waiting.SendAllAgain(sent);
            lost = state.Jobs.All();
        }

        foreach (var grant in lost) grant.Stop();
        state.Notify();
    }

    /// <summary>
    /// Handles an exchange with an unknown outcome: its tickets and ends are sent again, and the next renewal
    /// reconciles its slots with Redis.
    /// </summary>
    /// <param name="work">The operations of the exchange.</param>
    /// <param name="sent">The tickets of the exchange.</param>
    /// <param name="unanswered">The ends of the exchange without an answer.</param>
    /// <param name="patience">Tickets that have waited longer than this are rejected with the cause.</param>
    /// <param name="cause">The cause, as a sentence for clients.</param>
    public void Fail(
        PendingOperations work,
        List<Ticket> sent,
        IEnumerable<PendingEnd> unanswered,
        TimeSpan patience,
        string cause)
    {
        var refusal = new AcquireResult(null, AcquireRefusal.StoreUnreachable, cause, TimeSpan.FromSeconds(1));
        lock (state.Gate)
        {
            state.Pending.Restore(work, unanswered, state.Lease.IsHeld);
            state.Waiting.PutFirst(sent, ticket => time.GetElapsedTime(ticket.Since) > patience, refusal);
        }

        state.Notify();
    }

    /// <summary>Applies a slot that Redis granted, with the tokens that it charged for.</summary>
    private void Grant(
        Ticket? ticket,
        long tokens,
        string pod,
        IReadOnlyDictionary<string, WorkerAddress> workers,
        bool isolated = false)
    {
        if (!workers.TryGetValue(pod, out var worker))
        {
            // The worker went down after the grant, and its slots no longer exist.
            if (ticket is { Done: false }) state.Waiting.PutFirst(ticket);
            return;
        }

        var count = isolated ? worker.Concurrency : 1;
        var use = state.Slots.Add(worker, inUse: count, idle: 0);
        if (ticket is { Done: false }
            && ticket.TryComplete(new AcquireResult(dispatch.Enter(use, tokens, isolated)))) return;
        state.Slots.Remove(pod, count);
        state.Pending.GiveBack(pod, count, isolated ? 0 : worker.Cache?.Charge(tokens) ?? 0);
        state.Notify();
    }

    private JobGrant? FindJob(string key)
    {
        lock (state.Gate) return state.Jobs.Find(key);
    }

    /// <summary>
    /// Sets the queue depth. While tickets wait, this gateway keeps no idle slots: it may have to claim a waiting job
    /// itself.
    /// </summary>
    private void SetDepth(int depth)
    {
        state.Lease.SetDepth(depth);
        if (!state.Lease.IsContended || state.Slots.Idle == 0) return;
        state.Pending.GiveBack(state.Slots.TakeAllIdle());
        state.Notify();
    }
}
