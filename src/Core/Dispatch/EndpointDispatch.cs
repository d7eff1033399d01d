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
    private bool isOnlyHolder;
    private int busyPeak;
    private int busyReported;
    private int jobSlots;
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

    private string Holder => $"{gatewayId}~{epoch}";

    /// <summary>A slot at once when one is idle and nobody waits; else the request queues.</summary>
    public ValueTask<AcquireResult> AcquireAsync(SlotWish wish, CancellationToken ct)
    {
        Ticket ticket;
        lock (gate)
        {
            if (!contended && fresh.Count == 0 && !wish.Isolated && ledger.Take() is { } use)
                return ValueTask.FromResult(new AcquireResult(Enter(use)));
            ticket = new Ticket($"{gatewayId}.{tickets++}", wish, time.GetTimestamp());
            // Before all others, and behind those of its kind that came earlier.
            if (wish.Front || wish.Isolated) fresh.Insert(fresh.FindIndex(t => !t.Wish.Front && !t.Wish.Isolated) is var at and >= 0 ? at : fresh.Count, ticket);
            else fresh.Add(ticket);
        }

        signal.Writer.TryWrite(true);
        return new ValueTask<AcquireResult>(WaitAsync(ticket, ct));
    }

    /// <summary>Ends a slot's use.</summary>
    /// <returns>Whether the worker was lost, and its work was certainly the only one there.</returns>
    public bool Return(Slot slot, bool workerReachable)
    {
        bool alone;
        lock (gate)
        {
            alone = slot.Use.Leave(lost: !workerReachable) && (slot.IsIsolated || slot.Worker.Concurrency == 1 || isOnlyHolder);
            slotTime.Advance(busy--);
            completed++;
            slot.IsReturned = true;
            if (slot.IsForJob) jobSlots--;
            var pod = slot.Worker.PodId;
            if (slot.Epoch != epoch) return alone;
            if (!workerReachable)
            {
                unreachable.Add(pod);
                CloseWorker(pod);
            }
            else if (!contended && !slot.IsIsolated && ledger.IsOpen(pod) && NextFresh() is { } ticket)
            {
                busy++;
                slot.Use.Enter();
                ticket.TryComplete(new AcquireResult(new Slot(this, slot.Use, epoch, isolated: false)));
                return alone;
            }
            else if (!contended && !slot.IsIsolated && ledger.MakeIdle(pod))
            {
                return alone;
            }

            if (ledger.Remove(pod, slot.Count)) GiveBack(pod, slot.Count);
        }

        signal.Writer.TryWrite(true);
        return alone;
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

    /// <summary>Redis may have lost its last writes: the next renewal names our tickets too, and queues again those that it lost.</summary>
    public void OnReconnected()
    {
        lock (gate) resync |= leased;
        signal.Writer.TryWrite(true);
    }

    public void OnBlocked()
    {
        // Also while nobody seems to wait: the answer that says so may be under way.
        lock (gate) checkBlocked = true;
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

    /// <summary>Nothing waits or runs, and no write to Redis is pending.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate)
            {
                return fresh.Count + queued.Count + jobs.Count + ends.Count + busy + giveBack.Count + abandoned.Count + arrived.Count + unreachable.Count == 0
                    && !ledger.Any;
            }
        }
    }

    /// <summary>Ends the loop.</summary>
    public void End() => signal.Writer.TryComplete();

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

    private Slot Enter(WorkerUse use, bool isolated = false, bool isForJob = false)
    {
        use.Enter();
        slotTime.Advance(busy++);
        busyPeak = Math.Max(busyPeak, busy);
        if (isForJob) jobSlots++;
        return new Slot(this, use, epoch, isolated) { IsForJob = isForJob };
    }

    /// <summary>The next ticket that one slot is enough for; an isolated one is left to Redis, and those behind it wait for the exchange.</summary>
    private Ticket? NextFresh()
    {
        while (fresh.Count > 0 && !fresh[0].Wish.Isolated)
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
}
