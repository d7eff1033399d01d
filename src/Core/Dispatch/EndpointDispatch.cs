using System.Threading.Channels;
using Sluice.Core.Jobs;

namespace Sluice.Core.Dispatch;

/// <summary>
/// One gateway's side of one endpoint's dispatch: gives out the slots that it has leased while nobody waits, and keeps
/// the tickets of those who do. Requests touch it under a short lock and never wait for Redis here; everything for
/// Redis is gathered as <see cref="DispatchWork"/> and exchanged by one loop (<see cref="DispatchExchange"/>), so that
/// never more than one script of this gateway runs for an endpoint, and a busy moment costs one call for many.
/// </summary>
internal sealed partial class EndpointDispatch(string endpointId, string gatewayId, TimeProvider time)
{
    /// <summary>Slots leased beside those of the tickets, at most: enough that a growing load rarely asks.</summary>
    private const int MaxSpare = 32;

    private readonly Lock gate = new();
    private readonly SlotLedger ledger = new();
    private readonly List<Ticket> fresh = [];
    private readonly Dictionary<string, Ticket> queued = [];
    private readonly Dictionary<string, int> giveBack = [];
    private readonly List<string> abandoned = [];
    private readonly List<SlotGrant> arrived = [];
    private readonly HashSet<string> unreachable = [];
    private readonly AcceptedGrants accepted = new();
    private readonly ServiceRate rate = new();
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private bool contended;
    private bool leased;
    private bool renewDue;
    private bool resync;
    private bool grantPass;
    private bool checkBlocked;
    private int epoch;
    private int busy;
    private int busyPeak;
    private int busyReported;
    private int depth;
    private long completed;
    private long tickets;
    private SlotTime slotTime = new(time);

    public string EndpointId => endpointId;

    public JobKeys JobKeys { get; } = new(endpointId);

    public DispatchKeys Keys => JobKeys.Dispatch;

    public ChannelReader<bool> Signal => signal.Reader;

    /// <summary>Requests in flight through this gateway.</summary>
    public int Busy => Volatile.Read(ref busy);

    /// <summary>Tickets waiting over all gateways, as last heard from Redis, and those not sent yet.</summary>
    public int Waiting
    {
        get
        {
            lock (gate) return Math.Max(depth, queued.Count) + fresh.Count;
        }
    }

    private string Holder => $"{gatewayId}~{epoch}";

    /// <summary>A slot at once when one is idle and nobody waits; else the request queues.</summary>
    public ValueTask<AcquireResult> AcquireAsync(SlotWish wish, CancellationToken ct)
    {
        Ticket ticket;
        lock (gate)
        {
            if (!contended && fresh.Count == 0 && ledger.Take() is { } worker)
                return ValueTask.FromResult(new AcquireResult(Enter(worker)));
            ticket = new Ticket($"{gatewayId}.{tickets++}", wish, time.GetTimestamp());
            if (wish.Front) fresh.Insert(0, ticket);
            else fresh.Add(ticket);
        }

        signal.Writer.TryWrite(true);
        return new ValueTask<AcquireResult>(WaitAsync(ticket, ct));
    }

    /// <summary>Ends a slot's use.</summary>
    public void Return(Slot slot, bool workerReachable)
    {
        lock (gate)
        {
            slotTime.Advance(busy--);
            completed++;
            var pod = slot.Worker.PodId;
            if (slot.Epoch != epoch) return;
            if (!workerReachable)
            {
                unreachable.Add(pod);
                CloseWorker(pod);
            }
            else if (!contended && ledger.IsOpen(pod) && NextFresh() is { } ticket)
            {
                busy++;
                ticket.TryComplete(new AcquireResult(new Slot(this, slot.Worker, epoch)));
                return;
            }
            else if (!contended && ledger.MakeIdle(pod))
            {
                return;
            }

            if (ledger.Remove(pod)) GiveBack(pod, 1);
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Once a second: renew the lease, give back what was not needed.</summary>
    public void Tick()
    {
        lock (gate)
        {
            rate.Tick(completed);
            foreach (var (pod, n) in ledger.TakeUnused()) GiveBack(pod, n);
            renewDue = leased && (ledger.Any || queued.Count > 0 || completed > 0 || busyReported > 0
                || accepted.Any || busy > 0 || jobs.Count > 0);
            if (!renewDue && giveBack.Count == 0 && !resync) return;
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Another gateway's ticket waits: what is idle here goes back to Redis.</summary>
    public void OnWaiting(string holder)
    {
        lock (gate)
        {
            if (holder == Holder) return;
            contended = true;
            foreach (var (pod, n) in ledger.TakeAllIdle()) GiveBack(pod, n);
        }

        signal.Writer.TryWrite(true);
    }

    public void OnDrain(string pod)
    {
        lock (gate) CloseWorker(pod);
        signal.Writer.TryWrite(true);
    }

    public void OnDown(string pod)
    {
        lock (gate) ledger.Forget(pod);
    }

    public void OnBlocked()
    {
        lock (gate) checkBlocked = queued.Count + fresh.Count > 0;
        signal.Writer.TryWrite(true);
    }

    /// <summary>Another gateway's release granted a slot to one of our tickets.</summary>
    public void OnGrant(SlotGrant grant)
    {
        lock (gate) arrived.Add(grant);
        signal.Writer.TryWrite(true);
    }

    /// <summary>Gives back everything idle, for shutdown.</summary>
    public void Close()
    {
        lock (gate)
        {
            contended = true;
            foreach (var (pod, n) in ledger.TakeAllIdle()) GiveBack(pod, n);
        }

        signal.Writer.TryWrite(true);
    }

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
                accepted.Take(), [.. jobs.Keys], withQueued ? [.. queued.Keys] : []) { ServedMs = slotTime.TakeMs() };
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
            SetDepth(answer.Depth);
            foreach (var (id, pod) in answer.Granted) Grant(byId[id], pod, workers);
            foreach (var (id, entry) in answer.Queued) Enqueue(byId[id], entry);
            foreach (var (id, why) in answer.Refused)
                byId[id].TryComplete(why == "full" ? AcquireResult.Full(byId[id].Wish, rate, answer.Depth)
                    : AcquireResult.Blocked(WorkerSlotStore.ReadBlocked(answer.BlockedReason)!));
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
            foreach (var (entry, pod) in grants)
            {
                queued.Remove(entry, out var ticket);
                Grant(ticket, pod, workers);
            }
        }
    }

    /// <summary>Takes a renewal's answer; grants in it are left to the next exchange.</summary>
    public void Apply(RenewAnswer answer, RenewReport report)
    {
        lock (gate)
        {
            resync = false;
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

    /// <summary>No worker can start and none is up: nobody waits for nothing.</summary>
    public void Apply(BlockedStart blocked)
    {
        lock (gate)
        {
            foreach (var (entry, ticket) in queued)
            {
                abandoned.Add(entry);
                ticket.TryComplete(AcquireResult.Blocked(blocked));
            }

            queued.Clear();
            foreach (var ticket in fresh) ticket.TryComplete(AcquireResult.Blocked(blocked));
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
            leased = contended = resync = false;
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
    public void Fail(DispatchWork work, List<Ticket> sent, IEnumerable<PendingEnd> unanswered, TimeSpan patience)
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
                        "Redis cannot be reached", TimeSpan.FromSeconds(1)));
        }

        signal.Writer.TryWrite(true);
    }

    public WorkerAddress? Address(string pod)
    {
        lock (gate) return ledger.Address(pod);
    }

    private async Task<AcquireResult> WaitAsync(Ticket ticket, CancellationToken ct)
    {
        await using var timer = time.CreateTimer(_ => End(ticket, AcquireResult.Expired(ticket.Wish, rate, depth)), null, ticket.Wish.Deadline,
            Timeout.InfiniteTimeSpan);
        await using var gone = ct.UnsafeRegister(_ => End(ticket, default), null);
        var result = await ticket.Answer;
        if (result.Slot is null) ct.ThrowIfCancellationRequested();
        return result;
    }

    /// <summary>The ticket's caller waits no more.</summary>
    private void End(Ticket ticket, AcquireResult result)
    {
        lock (gate)
        {
            if (!ticket.TryComplete(result)) return;
            if (ticket.Entry is { } entry && queued.Remove(entry)) abandoned.Add(entry);
        }

        signal.Writer.TryWrite(true);
    }

    private Slot Enter(WorkerAddress worker)
    {
        slotTime.Advance(busy++);
        busyPeak = Math.Max(busyPeak, busy);
        return new Slot(this, worker, epoch);
    }

    private void Grant(Ticket? ticket, string pod, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        if (!workers.TryGetValue(pod, out var worker))
        {
            // The worker went down between the grant and now, and its slots with it.
            if (ticket is { Done: false }) fresh.Insert(0, ticket);
            return;
        }

        ledger.Add(worker, inUse: 1, idle: 0);
        if (ticket is { Done: false } && ticket.TryComplete(new AcquireResult(Enter(worker)))) return;
        ledger.Remove(pod);
        GiveBack(pod, 1);
        signal.Writer.TryWrite(true);
    }

    private void Enqueue(Ticket ticket, string entry)
    {
        ticket.Entry = entry;
        if (ticket.Done) abandoned.Add(entry);
        else queued[entry] = ticket;
    }

    private Ticket? NextFresh()
    {
        while (fresh.Count > 0)
        {
            var ticket = fresh[0];
            fresh.RemoveAt(0);
            if (!ticket.Done) return ticket;
        }

        return null;
    }

    private void CloseWorker(string pod)
    {
        var idle = ledger.Close(pod);
        if (idle > 0) GiveBack(pod, idle);
    }

    private void GiveBack(string pod, int n) => giveBack[pod] = giveBack.GetValueOrDefault(pod) + n;

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
