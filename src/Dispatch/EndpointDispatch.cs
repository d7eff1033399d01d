using System.Threading.Channels;
using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// Manages the slots and tickets of one gateway for one endpoint: assigns leased slots while no ticket waits, and keeps
/// the waiting tickets.
/// </summary>
/// <remarks>
/// Requests access it under a short lock and never wait for Redis here. Operations for Redis are collected as
/// <see cref="PendingOperations"/> and exchanged by one loop (<see cref="EndpointDispatchLoop"/>). At most one script of this
/// gateway runs for an endpoint at a time, and under load one call carries many operations.
/// </remarks>
internal sealed partial class EndpointDispatch(string endpointId, string gatewayId, TimeProvider time)
{
    /// <summary>
    /// The most slots to lease in addition to those of the tickets: enough that a growing load rarely needs another
    /// call to Redis.
    /// </summary>
    private const int MaxSpare = 32;

    private readonly Lock gate = new();
    private readonly LeasedSlots ledger = new();
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

    private bool isContended;
    private bool isLeased;
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
    private SlotUsageMeter slotTime = new(time);

    public string EndpointId => endpointId;

    public JobKeys JobKeys { get; } = new(endpointId);

    public DispatchKeys Keys => JobKeys.Dispatch;

    public ChannelReader<bool> Signal => signal.Reader;

    /// <summary>The number of requests that this gateway has sent to workers.</summary>
    public int Busy => Volatile.Read(ref busy);

    private string Holder => $"{gatewayId}~{epoch}";

    /// <summary>
    /// Acquires a slot: immediately if one is idle and no ticket waits; otherwise the request is queued.
    /// </summary>
    public ValueTask<AcquireResult> AcquireAsync(SlotRequest request, CancellationToken ct)
    {
        Ticket ticket;
        lock (gate)
        {
            if (!isContended && fresh.Count == 0 && !request.Isolated && ledger.TakeIdleSlot() is { } use)
                return ValueTask.FromResult(new AcquireResult(Enter(use)));
            ticket = new Ticket($"{gatewayId}.{tickets++}", request, time.GetTimestamp());
            // Insert it before all other tickets, but after earlier front and isolated tickets.
            if (request.Front || request.Isolated)
            {
                var at = fresh.FindIndex(t => !t.Request.Front && !t.Request.Isolated);
                fresh.Insert(at >= 0 ? at : fresh.Count, ticket);
            }
            else
            {
                fresh.Add(ticket);
            }
        }

        signal.Writer.TryWrite(true);
        return new ValueTask<AcquireResult>(WaitAsync(ticket, ct));
    }

    /// <summary>Ends the use of a slot.</summary>
    /// <returns>Whether the worker was lost while this work was certainly its only work.</returns>
    public bool Return(Slot slot, bool workerReachable)
    {
        bool alone;
        lock (gate)
        {
            alone = slot.Use.Leave(lost: !workerReachable)
                && (slot.IsIsolated || slot.Worker.Concurrency == 1 || isOnlyHolder);
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
            else if (!isContended && !slot.IsIsolated && ledger.IsOpen(pod) && NextFresh() is { } ticket)
            {
                busy++;
                slot.Use.Enter();
                ticket.TryComplete(new AcquireResult(new Slot(this, slot.Use, epoch, isolated: false)));
                return alone;
            }
            else if (!isContended && !slot.IsIsolated && ledger.MakeIdle(pod))
            {
                return alone;
            }

            if (ledger.Remove(pod, slot.Count)) GiveBack(pod, slot.Count);
        }

        signal.Writer.TryWrite(true);
        return alone;
    }

    /// <summary>Renews the lease and returns unused slots; called once a second.</summary>
    public void Tick()
    {
        lock (gate)
        {
            rate.Tick(completed);
            foreach (var (pod, n) in ledger.TakeUnused()) GiveBack(pod, n);
            renewDue = isLeased && (ledger.HasSlots || queued.Count > 0 || completed > 0 || busyReported > 0
                || accepted.HasUnacknowledged || busy > 0 || jobs.Count > 0);
            if (!renewDue && giveBack.Count == 0 && !resync) return;
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Returns idle slots to Redis: a ticket of another gateway waits.</summary>
    public void OnWaiting(string holder)
    {
        lock (gate)
        {
            if (holder == Holder) return;
            isContended = true;
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

    /// <summary>
    /// Handles a reconnect: Redis may have lost its last writes, so the next renewal reports the tickets too, and
    /// queues the lost ones again.
    /// </summary>
    public void OnReconnected()
    {
        lock (gate) resync |= isLeased;
        signal.Writer.TryWrite(true);
    }

    public void OnBlocked()
    {
        // Check even if no ticket seems to wait: the answer that reports waiting tickets may still be in transit.
        lock (gate) checkBlocked = true;
        signal.Writer.TryWrite(true);
    }

    /// <summary>Handles a grant to a ticket of this gateway, made when another gateway released a slot.</summary>
    public void OnGrant(SlotGrant grant)
    {
        lock (gate) arrived.Add(grant);
        signal.Writer.TryWrite(true);
    }

    /// <summary>Returns all idle slots at shutdown.</summary>
    public void Close()
    {
        lock (gate)
        {
            isContended = true;
            foreach (var (pod, n) in ledger.TakeAllIdle()) GiveBack(pod, n);
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Whether nothing waits or runs, and no write to Redis is pending.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate)
            {
                var pending = fresh.Count + queued.Count + jobs.Count + ends.Count + busy + giveBack.Count
                    + abandoned.Count + arrived.Count + unreachable.Count;
                return pending == 0 && !ledger.HasSlots;
            }
        }
    }

    /// <summary>Ends the exchange loop.</summary>
    public void End() => signal.Writer.TryComplete();

    public WorkerAddress? Address(string pod)
    {
        lock (gate) return ledger.Address(pod);
    }

    private async Task<AcquireResult> WaitAsync(Ticket ticket, CancellationToken ct)
    {
        await using var timer = time.CreateTimer(
            _ => End(ticket, AcquireResult.Expired(ticket.Request, rate, depth)),
            null,
            ticket.Request.Deadline,
            Timeout.InfiniteTimeSpan);
        await using var gone = ct.UnsafeRegister(_ => End(ticket, default), null);
        var result = await ticket.Answer;
        if (result.Slot is null) ct.ThrowIfCancellationRequested();
        return result;
    }

    /// <summary>Completes a ticket whose caller has stopped waiting.</summary>
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

    /// <summary>
    /// Takes the next ticket that needs one slot. An isolated ticket is left to Redis, and the tickets behind it wait
    /// for the exchange.
    /// </summary>
    private Ticket? NextFresh()
    {
        while (fresh.Count > 0 && !fresh[0].Request.Isolated)
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
