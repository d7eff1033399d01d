using Sluice.Core.Jobs;

namespace Sluice.Core.Dispatch;

/// <summary>What the exchange with Redis takes, and what it makes of the answers.</summary>
internal sealed partial class EndpointDispatch
{
    /// <summary>Everything that waits to be told to Redis, or null. The exchange must apply or fail it.</summary>
    public DispatchWork? TakeWork()
    {
        lock (gate)
        {
            fresh.RemoveAll(t => t.Done);
            var work = new DispatchWork
            {
                Holder = Holder,
                FirstLease = !leased,
                Unreachable = Drain(unreachable),
                Abandoned = Drain(abandoned),
                GiveBack = [.. giveBack],
                Ends = TakeEnds(),
                GrantPass = grantPass,
                Arrived = Drain(arrived).FindAll(g => accepted.Add(g.Ticket)),
                Fresh = Drain(fresh),
                Spare = contended ? 0 : Math.Clamp(busyPeak, 1, MaxSpare),
                CheckBlocked = checkBlocked,
                Renew = renewDue || resync,
                Resync = resync,
            };
            giveBack.Clear();
            grantPass = checkBlocked = renewDue = false;
            return work.IsEmpty ? null : work;
        }
    }

    /// <summary>What to tell Redis of ourselves.</summary>
    public RenewReport Report(bool withQueued, TimeSpan lease)
    {
        lock (gate)
        {
            slotTime.Advance(busy);
            var report = new RenewReport(Holder, lease, Math.Max(busyPeak, busy), completed, ledger.Account(),
                accepted.Take(), [.. jobs.Keys], withQueued ? [.. queued.Keys] : [])
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
            leased = true;
            isOnlyHolder = answer.Holders == 1;
            SetDepth(answer.Depth);
            foreach (var (id, pod) in answer.Granted) Grant(byId[id], pod, workers);
            foreach (var (id, entry) in answer.Queued) Enqueue(byId[id], entry);
            // Only release grants these.
            if (answer.Queued.Any(q => byId[q.Id].Wish.Isolated)) grantPass = true;
            foreach (var (id, why) in answer.Refused)
                byId[id].TryComplete(why == "full" ? AcquireResult.Full(byId[id].Wish, rate, answer.Depth)
                    : AcquireResult.Blocked(WorkerSlotStore.ReadBlocked(answer.BlockedReason)!, time.GetUtcNow()));
            foreach (var pod in answer.Spare)
            {
                if (!workers.TryGetValue(pod, out var worker)) continue;
                if (contended) GiveBack(pod, 1);
                else if (NextFresh() is { } ticket) Grant(ticket, pod, workers);
                else ledger.Add(worker, inUse: 0, idle: 1);
            }
        }
    }

    /// <summary>Slots granted to tickets that were queued.</summary>
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

    /// <summary>Takes a renewal's answer; grants in it are left to the next exchange.</summary>
    public void Apply(RenewAnswer answer, RenewReport report)
    {
        // A word to stop comes once, and not to somebody who has not heard yet that the job is his: here it comes in any case.
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

    /// <summary>No worker can start and none is up: requests that wait are refused.</summary>
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

    /// <summary>Our lease was reaped: what we held is not ours any more, our tickets must queue again, our jobs are others'.</summary>
    public void Lose(IEnumerable<Ticket> sent)
    {
        List<JobGrant> lost;
        lock (gate)
        {
            epoch++;
            leased = contended = resync = isOnlyHolder = false;
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

    /// <summary>The outcome of an exchange is unknown: its tickets and ends are sent again, its slots are left to the next
    /// renewal, which makes both accounts equal.</summary>
    /// <param name="work">The exchange.</param>
    /// <param name="sent">Its tickets.</param>
    /// <param name="unanswered">Its ends.</param>
    /// <param name="patience">A ticket that is older gets the cause as its answer.</param>
    /// <param name="cause">The sentence for clients.</param>
    public void Fail(DispatchWork work, List<Ticket> sent, IEnumerable<PendingEnd> unanswered, TimeSpan patience, string cause)
    {
        lock (gate)
        {
            resync = leased;
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

    private void Grant(Ticket? ticket, string pod, IReadOnlyDictionary<string, WorkerAddress> workers, bool isolated = false)
    {
        if (!workers.TryGetValue(pod, out var worker))
        {
            // The worker went down between the grant and now, and its slots with it.
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

    /// <summary>While anyone waits nothing stays idle here: a job may be waiting that this gateway itself has to claim.</summary>
    private void SetDepth(int now)
    {
        depth = now;
        contended = now > 0;
        if (!contended || ledger.Idle == 0) return;
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
