using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>Creates the pending operations for Redis and applies the answers.</summary>
internal sealed partial class EndpointDispatch
{
    /// <summary>
    /// Takes all pending operations, or returns null if there are none. The caller must apply or fail them.
    /// </summary>
    public PendingOperations? TakeWork()
    {
        lock (gate)
        {
            fresh.RemoveAll(t => t.Done);
            var work = new PendingOperations
            {
                Holder = Holder,
                FirstLease = !isLeased,
                Unreachable = Drain(unreachable),
                Abandoned = Drain(abandoned),
                GiveBack = [.. giveBack],
                Ends = TakeEnds(),
                GrantPass = grantPass,
                Arrived = Drain(arrived).FindAll(g => accepted.Add(g.Ticket)),
                Fresh = Drain(fresh),
                Spare = isContended ? 0 : Math.Clamp(busyPeak, 1, MaxSpare),
                CheckBlocked = checkBlocked,
                Renew = renewDue || resync,
                Resync = resync,
            };
            giveBack.Clear();
            grantPass = checkBlocked = renewDue = false;
            return work.IsEmpty ? null : work;
        }
    }

    /// <summary>Creates the report of this gateway for the next renewal.</summary>
    public RenewReport Report(bool withQueued, TimeSpan lease)
    {
        lock (gate)
        {
            slotTime.Advance(busy);
            var report = new RenewReport(Holder, lease, Math.Max(busyPeak, busy), completed, ledger.Account(),
                accepted.Unacknowledged(), [.. jobs.Keys], withQueued ? [.. queued.Keys] : [])
            {
                ServedMs = slotTime.TakeMs(),
                Unowned = jobSlots - jobs.Values.Count(g => g.Slot is { IsReturned: false }),
            };
            busyReported = report.Busy;
            busyPeak = busy;
            completed = 0;
            return report;
        }
    }

    public void Apply(AcquireAnswer answer, List<Ticket> sent, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        lock (gate)
        {
            var byId = sent.ToDictionary(t => t.Id);
            isLeased = true;
            isOnlyHolder = answer.Holders == 1;
            SetDepth(answer.Depth);
            foreach (var (id, pod) in answer.Granted) Grant(byId[id], pod, workers);
            foreach (var (id, entry) in answer.Queued) Enqueue(byId[id], entry);
            // Only the release script grants isolated tickets.
            if (answer.Queued.Any(q => byId[q.Id].Request.Isolated)) grantPass = true;
            foreach (var (id, why) in answer.Refused)
                byId[id].TryComplete(why == "full"
                    ? AcquireResult.Full(byId[id].Request, rate, answer.Depth)
                    : AcquireResult.Blocked(WorkerSlotStore.ReadBlocked(answer.BlockedReason)!, time.GetUtcNow()));
            foreach (var pod in answer.Spare)
            {
                if (!workers.TryGetValue(pod, out var worker)) continue;
                if (isContended) GiveBack(pod, 1);
                else if (NextFresh() is { } ticket) Grant(ticket, pod, workers);
                else ledger.Add(worker, inUse: 0, idle: 1);
            }
        }
    }

    /// <summary>Applies slots that were granted to queued tickets.</summary>
    public void Apply(IEnumerable<SlotGrant> grants, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        lock (gate)
        {
            foreach (var grant in grants)
            {
                queued.Remove(grant.Ticket, out var ticket);
                Grant(ticket, grant.Pod, workers, grant.IsIsolated);
            }
        }
    }

    /// <summary>Applies the answer to a renewal. Grants in it are left to the next exchange.</summary>
    public void Apply(RenewAnswer answer, RenewReport report)
    {
        // A stop message is sent once, and may arrive before this gateway knows that it runs the job. The renewal
        // covers this case.
        foreach (var key in answer.Ended) JobOf(key)?.Stop();
        lock (gate)
        {
            resync = false;
            isOnlyHolder = answer.Holders == 1;
            accepted.Acknowledge(report.Accepted);
            SetDepth(answer.Depth);
            foreach (var grant in answer.Unaccepted) arrived.Add(grant);
            foreach (var pod in answer.NotReady) CloseWorker(pod);
            foreach (var entry in answer.Missing)
                if (queued.Remove(entry, out var ticket)) fresh.Insert(0, ticket);
            grantPass = answer.Depth > 0;
            if (answer.Depth == 0 && answer.Unaccepted.Length == 0 && answer.NotReady.Length == 0
                && answer.Missing.Length == 0) return;
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Rejects the waiting requests: no worker is running and none can start.</summary>
    public void Apply(BlockedStart blocked)
    {
        var refusal = AcquireResult.Blocked(blocked, time.GetUtcNow());
        lock (gate)
        {
            foreach (var (entry, ticket) in queued)
            {
                abandoned.Add(entry);
                ticket.TryComplete(refusal);
            }

            queued.Clear();
            foreach (var ticket in fresh) ticket.TryComplete(refusal);
            fresh.Clear();
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>
    /// Handles a lost lease: this gateway no longer holds its slots, its tickets must be queued again, and other
    /// gateways run its jobs.
    /// </summary>
    public void Lose(IEnumerable<Ticket> sent)
    {
        List<JobGrant> lost;
        lock (gate)
        {
            epoch++;
            isLeased = isContended = resync = isOnlyHolder = false;
            ledger.Clear();
            giveBack.Clear();
            abandoned.Clear();
            busyPeak = busy;
            fresh.InsertRange(0, queued.Values.Concat(sent).OrderBy(t => t.Since));
            queued.Clear();
            lost = [.. jobs.Values];
        }

        foreach (var grant in lost) grant.Stop();
        signal.Writer.TryWrite(true);
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
        lock (gate)
        {
            resync = isLeased;
            grantPass |= work.GrantPass;
            ends.InsertRange(0, unanswered);
            fresh.InsertRange(0, sent);
            foreach (var ticket in fresh)
                if (time.GetElapsedTime(ticket.Since) > patience)
                    ticket.TryComplete(new AcquireResult(null, AcquireRefusal.StoreUnreachable,
                        cause, TimeSpan.FromSeconds(1)));
        }

        signal.Writer.TryWrite(true);
    }

    private void Grant(
        Ticket? ticket,
        string pod,
        IReadOnlyDictionary<string, WorkerAddress> workers,
        bool isolated = false)
    {
        if (!workers.TryGetValue(pod, out var worker))
        {
            // The worker went down after the grant, and its slots no longer exist.
            if (ticket is { Done: false }) fresh.Insert(0, ticket);
            return;
        }

        var slots = isolated ? worker.Concurrency : 1;
        var use = ledger.Add(worker, inUse: slots, idle: 0);
        if (ticket is { Done: false } && ticket.TryComplete(new AcquireResult(Enter(use, isolated)))) return;
        ledger.Remove(pod, slots);
        GiveBack(pod, slots);
        signal.Writer.TryWrite(true);
    }

    private void Enqueue(Ticket ticket, string entry)
    {
        ticket.Entry = entry;
        if (ticket.Done) abandoned.Add(entry);
        else queued[entry] = ticket;
    }

    /// <summary>
    /// Sets the queue depth. While tickets wait, this gateway keeps no idle slots: it may have to claim a waiting job
    /// itself.
    /// </summary>
    private void SetDepth(int now)
    {
        depth = now;
        isContended = now > 0;
        if (!isContended || ledger.Idle == 0) return;
        foreach (var (pod, n) in ledger.TakeAllIdle()) GiveBack(pod, n);
        signal.Writer.TryWrite(true);
    }

    private static List<T> Drain<T>(ICollection<T> from)
    {
        var all = new List<T>(from);
        from.Clear();
        return all;
    }
}
