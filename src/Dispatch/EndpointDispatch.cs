using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// Serves the requests and jobs of one gateway to one endpoint: assigns leased slots while no ticket waits, queues
/// tickets otherwise, and handles the messages of other gateways.
/// </summary>
/// <remarks>
/// Requests access it under a short lock and never wait for Redis here. Operations for Redis are collected and taken by
/// <see cref="EndpointExchange"/>. At most one script of this gateway runs for an endpoint at a time, and under load
/// one call carries many operations.
/// </remarks>
internal sealed class EndpointDispatch(EndpointState state, TimeProvider time)
{
    private long tickets;

    public string EndpointId => state.EndpointId;

    /// <summary>The number of requests that this gateway has sent to workers.</summary>
    public int Busy => state.Usage.Busy;

    /// <summary>Whether any worker of the endpoint has reported how many tokens it can hold.</summary>
    public bool HasTokenLimits
    {
        get
        {
            lock (state.Gate) return state.Slots.HasTokenLimits;
        }
    }

    /// <summary>Whether nothing waits or runs, and no write to Redis is pending.</summary>
    public bool IsIdle
    {
        get
        {
            lock (state.Gate)
                return state.Waiting.IsEmpty && state.Jobs.IsEmpty && state.Pending.IsEmpty && state.Usage.Busy == 0
                    && !state.Slots.HasSlots;
        }
    }

    /// <summary>
    /// Acquires a slot: immediately if one is idle and no ticket waits; otherwise the request is queued.
    /// </summary>
    public ValueTask<AcquireResult> AcquireAsync(SlotRequest request, CancellationToken ct)
    {
        Ticket ticket;
        lock (state.Gate)
        {
            if (!state.Lease.IsContended && !state.Waiting.HasFresh && !request.Isolated)
            {
                // Redis may have a free slot of the preferred worker. Then it gets back another one in exchange.
                if (request.Preferred is { } preferred && state.Slots.TakeForExchange(preferred, request.Tokens > 0)
                    is { } pod)
                    state.Pending.GiveBack(pod, 1);
                else if (state.Slots.TakeIdleSlot(request.Preferred, request.Tokens > 0) is { } use)
                    return ValueTask.FromResult(new AcquireResult(Enter(use, request.Tokens)));
            }

            ticket = new Ticket($"{state.GatewayId}.{tickets++}", request, time.GetTimestamp());
            state.Waiting.Add(ticket);
        }

        state.Notify();
        return new ValueTask<AcquireResult>(WaitAsync(ticket, ct));
    }

    /// <summary>Ends the use of a slot.</summary>
    /// <returns>Whether the worker was lost while this work was certainly its only work.</returns>
    public bool Return(Slot slot, bool workerReachable)
    {
        bool alone;
        lock (state.Gate)
        {
            alone = slot.Use.Leave(lost: !workerReachable)
                && (slot.IsIsolated || slot.Worker.Concurrency == 1 || state.Lease.IsOnlyHolder);
            state.Usage.Leave(slot.IsForJob);
            slot.IsReturned = true;
            state.Tokens.Remove(slot);
            var pod = slot.Worker.PodId;
            if (slot.Epoch != state.Lease.Epoch) return alone;
            if (!workerReachable)
            {
                state.Pending.AddUnreachable(pod);
                state.CloseWorker(pod);
            }
            else if (IsReusable(slot) && state.Slots.IsOpen(pod)
                && state.Waiting.TakeNext(mayHaveTokens: slot.Worker.Cache is null) is { } ticket)
            {
                state.Usage.Reuse();
                slot.Use.Enter();
                ticket.TryComplete(new AcquireResult(
                    new Slot(this, slot.Use, state.Lease.Epoch, isolated: false, ticket.Request.Tokens)));
                return alone;
            }
            else if (IsReusable(slot) && state.Slots.MakeIdle(pod))
            {
                return alone;
            }

            if (state.Slots.Remove(pod, slot.Count)) state.Pending.GiveBack(pod, slot.Count, slot.Tokens);
        }

        state.Notify();
        return alone;
    }

    /// <summary>Whether this gateway may assign a slot again. Redis assigns tokens.</summary>
    private bool IsReusable(Slot slot) => !state.Lease.IsContended && !slot.IsIsolated && slot.Tokens == 0;

    /// <summary>Renews the lease and returns unused slots; called once a second.</summary>
    public void Tick()
    {
        lock (state.Gate)
        {
            state.Usage.Tick();
            state.Pending.GiveBack(state.Slots.TakeUnused());
            state.Pending.SetRenewDue(state.Lease.IsHeld && (state.Slots.HasSlots || state.Waiting.HasQueued
                || state.Usage.HasReport || state.Pending.HasUnacknowledged || !state.Jobs.IsEmpty));
            if (!state.Pending.HasTickWork) return;
        }

        state.Notify();
    }

    /// <summary>Returns idle slots to Redis: a ticket of another gateway waits.</summary>
    public void OnWaiting(string holder)
    {
        lock (state.Gate)
        {
            if (holder == state.Lease.Holder) return;
            state.Lease.MarkContended();
            state.Pending.GiveBack(state.Slots.TakeAllIdle());
        }

        state.Notify();
    }

    public void OnDrain(string pod)
    {
        lock (state.Gate) state.CloseWorker(pod);
        state.Notify();
    }

    public void OnDown(string pod)
    {
        lock (state.Gate)
        {
            state.Slots.Forget(pod);
            state.Tokens.Forget(pod);
        }
    }

    /// <summary>
    /// Handles a reconnect: Redis may have lost its last writes, so the next renewal reports the tickets too, and
    /// queues the lost ones again.
    /// </summary>
    public void OnReconnected()
    {
        lock (state.Gate)
            if (state.Lease.IsHeld) state.Pending.RequestResync();
        state.Notify();
    }

    public void OnBlocked()
    {
        // Check even if no ticket seems to wait: the answer that reports waiting tickets may still be in transit.
        lock (state.Gate) state.Pending.RequestBlockedCheck();
        state.Notify();
    }

    /// <summary>Handles a grant to a ticket of this gateway, made when another gateway released a slot.</summary>
    public void OnGrant(SlotGrant grant)
    {
        lock (state.Gate) state.Pending.AddArrived(grant);
        state.Notify();
    }

    /// <summary>
    /// Requests a grant pass: slots are free and tickets wait. Tickets of jobs are granted to the gateway that asks.
    /// </summary>
    public void OnFree()
    {
        lock (state.Gate) state.Pending.RequestGrantPass();
        state.Notify();
    }

    /// <summary>Stops a cancelled job that this gateway runs.</summary>
    public void OnStop(string job)
    {
        List<JobGrant> grants;
        lock (state.Gate) grants = state.Jobs.AttemptsOf(job);
        foreach (var grant in grants) grant.Stop();
    }

    /// <summary>Returns all idle slots at shutdown.</summary>
    public void Close()
    {
        lock (state.Gate)
        {
            state.Lease.MarkContended();
            state.Pending.GiveBack(state.Slots.TakeAllIdle());
        }

        state.Notify();
    }

    /// <summary>Ends the exchange loop.</summary>
    public void End() => state.EndSignal();

    public WorkerAddress? Address(string pod)
    {
        lock (state.Gate) return state.Slots.Address(pod);
    }

    /// <summary>
    /// Stores the end of an attempt and returns its slot, in one call with other pending operations. Completes when
    /// Redis has answered, or when the script failed for this end alone although Redis was available.
    /// </summary>
    public Task<EndResult> EndAsync(JobGrant grant, JobEnd end, bool alone = false)
    {
        var stored = new TaskCompletionSource<EndResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (state.Gate)
        {
            state.Pending.AddEnd(new PendingEnd(end, stored, alone));
            grant.Slot?.Dispose();
        }

        state.Notify();
        return stored.Task;
    }

    /// <summary>Forgets an attempt whose end is stored.</summary>
    public void Settle(JobGrant grant)
    {
        lock (state.Gate) state.Jobs.Remove(grant);
    }

    /// <summary>Starts the use of a slot. The caller holds the lock.</summary>
    internal Slot Enter(WorkerUse use, long tokens, bool isolated = false, bool isForJob = false)
    {
        use.Enter();
        state.Usage.Enter(isForJob);
        var slot = new Slot(this, use, state.Lease.Epoch, isolated, tokens) { IsForJob = isForJob };
        state.Tokens.Add(slot);
        return slot;
    }

    private async Task<AcquireResult> WaitAsync(Ticket ticket, CancellationToken ct)
    {
        await using var timer = time.CreateTimer(
            _ => End(ticket, AcquireResult.Expired(ticket.Request, state.Usage.Rate, state.Lease.Depth)),
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
        lock (state.Gate)
        {
            if (!ticket.TryComplete(result)) return;
            state.Waiting.Abandon(ticket);
        }

        state.Notify();
    }
}
