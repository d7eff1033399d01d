using System.Diagnostics;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Schedules the batches of one model. While the device is busy, requests are collected in the next batch. No timer
/// delays a batch, so at low load a request runs immediately, on its own thread. Owns the waiting requests and the
/// next batch; <see cref="BatchPlanner"/> decides which requests form a batch.
/// </summary>
internal sealed class BatchScheduler : IExecutionSlotUser, IThreadPoolWorkItem, IDisposable
{
    /// <summary>
    /// Due time of a request without a timeout, in milliseconds after its arrival. It prevents
    /// requests with a timeout from delaying this request indefinitely.
    /// </summary>
    private static readonly long DefaultDueMs = (long)TimeSpan.FromSeconds(10).TotalMilliseconds;

    private readonly OnnxModel model;
    private readonly ExecutionSlots slots;
    private readonly int maxQueue;
    private readonly ModelStatistics statistics;
    private readonly Action free;
    private readonly ModelReferenceCount users;
    private readonly BatchMemory memory;
    private readonly Lock gate = new();
    private readonly List<PendingInference> waiting = [];
    private BatchCandidate[] candidates = new BatchCandidate[16];
    private int[] taken = new int[16];
    private Batch? forming;
    private bool isWaitingForSlot;
    private bool isGathering;
    private int inside;

    /// <param name="model">The model.</param>
    /// <param name="slots">Execution slots for the runs of the model.</param>
    /// <param name="maxQueue">Maximum number of waiting requests. A further request gets status 503.</param>
    /// <param name="statistics">Statistics of the model.</param>
    /// <param name="allocate">Allocates the tensors of a batch for its first request.</param>
    /// <param name="free">Frees the model after its last use.</param>
    public BatchScheduler(
        OnnxModel model,
        ExecutionSlots slots,
        int maxQueue,
        ModelStatistics statistics,
        Func<InferRequest, TensorSet> allocate,
        Action free)
    {
        this.model = model;
        this.slots = slots;
        this.maxQueue = maxQueue;
        this.statistics = statistics;
        this.free = free;
        users = new ModelReferenceCount(Free);
        memory = new BatchMemory(users, allocate);
    }

    /// <summary>Number of requests that are in the scheduler and whose response is not written completely.</summary>
    public int Inside => Volatile.Read(ref inside);

    /// <summary>
    /// Whether a batch waits until all requests that are already received are read. True if a batch is faster than
    /// single rows; see <see cref="BatchSpeedup"/>.
    /// </summary>
    public bool Gathers { get; set; }

    /// <summary>Size of the host buffers for batches, in bytes.</summary>
    public long BufferBytes => memory.Bytes;

    /// <summary>Runs a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="gone">Cancelled when the caller is disconnected.</param>
    /// <returns>The result. The caller disposes of it after the response is written.</returns>
    /// <exception cref="InvalidRequestException">
    /// 503: the queue is full, the request timed out, or there is no memory. 404: the model was unloaded.
    /// </exception>
    public async ValueTask<Inference> RunAsync(InferRequest request, CancellationToken gone)
    {
        using var limit = request.TimeoutUs > 0 ? CancellationTokenSource.CreateLinkedTokenSource(gone) : null;
        limit?.CancelAfter(TimeSpan.FromMicroseconds(request.TimeoutUs));
        var ticket = new PendingInference(request, gone, limit?.Token ?? gone);
        var placed = Enqueue(ticket);
        try
        {
            if (!placed.IsCompletedSuccessfully) await WaitForPlaceAsync(ticket, placed);
            Fill(ticket);
            if (CompleteFill(ticket) is { } ready) Execute(ready);
            await ticket.Done;
            return new Inference(this, ticket);
        }
        catch (Exception e)
        {
            Exit();
            statistics.RecordFailure(Stopwatch.GetElapsedTime(ticket.Arrived));
            if (e is OperationCanceledException && !gone.IsCancellationRequested)
                throw new InvalidRequestException("Request timeout expired", 503);
            throw;
        }
    }

    /// <summary>Runs the next batch in the slot that was assigned to the scheduler.</summary>
    public void Enter()
    {
        Batch? ready;
        lock (gate)
        {
            isWaitingForSlot = false;
            ready = forming is { Unfilled: 0 } ? CloseBatch() : null;
        }

        if (ready is null) slots.Leave();
        else Execute(ready);
    }

    /// <summary>
    /// Rejects all later requests. The last user of the model frees it, because freeing a session during a run
    /// terminates the process.
    /// </summary>
    public void Dispose() => users.Close();

    /// <summary>Acquires a reference to the model for a use other than a batch. Disposing releases it.</summary>
    public IDisposable AcquireReference()
    {
        EnterOrThrow();
        return new Reference(this);
    }

    /// <summary>Adds tensors for the first batch to the pool.</summary>
    public void Adopt(TensorSet tensors) => memory.Adopt(tensors);

    /// <summary>Removes a request from the scheduler after its response is written or it has failed.</summary>
    public void Exit()
    {
        Interlocked.Decrement(ref inside);
        users.Leave();
    }

    private void EnterOrThrow()
    {
        if (!users.TryEnter())
            throw new InvalidRequestException(
                $"Request for unknown model: '{model.Name}' is not found (it was unloaded)",
                404);
        Interlocked.Increment(ref inside);
    }

    private void Free()
    {
        memory.Dispose();
        free();
    }

    private Task Enqueue(PendingInference ticket)
    {
        lock (gate)
        {
            if (waiting.Count >= maxQueue) throw InvalidRequestException.QueueFull("Exceeds maximum queue size");
            EnterOrThrow();
            waiting.Add(ticket);
            FillBatch();
            return ticket.Placed;
        }
    }

    private async Task WaitForPlaceAsync(PendingInference ticket, Task placed)
    {
        await using var leave = ticket.Late.UnsafeRegister(static state =>
        {
            var (scheduler, ticket) = ((BatchScheduler, PendingInference))state!;
            lock (scheduler.gate)
                if (!scheduler.waiting.Remove(ticket)) return;
            ticket.Reject(new OperationCanceledException(ticket.Late));
        }, (this, ticket));
        await placed;
    }

    private void Fill(PendingInference ticket)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            ticket.Batch!.Tensors.Fill(ticket.Request, ticket.FirstRow);
            ticket.Filled = true;
        }
        catch (Exception e)
        {
            ticket.Input = Stopwatch.GetElapsedTime(started);
            SkipInvalid(ticket);
            throw ticket.Request.Explain(e);
        }

        ticket.Input = Stopwatch.GetElapsedTime(started);
    }

    /// <summary>Records that the tensors of a request are read or invalid.</summary>
    /// <returns>The batch to run, if this was the last of its requests and a slot is free.</returns>
    private Batch? CompleteFill(PendingInference ticket)
    {
        lock (gate)
        {
            ticket.Batch!.Unfilled--;
            if (!Gathers || Inside < 2 || forming is not { Unfilled: 0 } || forming.Share >= model.MaxBatch)
                return TakeReadyBatch();
            // The work item is at the end of the thread pool's queue: it runs after all requests that are already
            // received, and before later ones. The batch does not wait for a timer.
            if (!isGathering) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            isGathering = true;
            return null;
        }
    }

    /// <summary>Runs the next batch after all received requests were read.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        Batch? ready;
        lock (gate)
        {
            isGathering = false;
            ready = TakeReadyBatch();
        }

        if (ready is not null) Execute(ready);
    }

    /// <summary>Lets a batch run without a request whose tensors are invalid.</summary>
    private void SkipInvalid(PendingInference ticket)
    {
        if (CompleteFill(ticket) is { } ready)
            ThreadPool.UnsafeQueueUserWorkItem(
                static r => r.Scheduler.Execute(r.Batch),
                (Scheduler: this, Batch: ready),
                preferLocal: false);
    }

    /// <summary>Moves waiting requests into the next batch. The caller holds the lock.</summary>
    private void FillBatch()
    {
        // If there is no memory for the first request, the plan is repeated without it: the requests behind it must
        // not wait for another event.
        while (waiting.Count > 0 && (forming is null || forming.Share < model.MaxBatch))
        {
            var (count, why) = Plan();
            if (forming is not null) forming.Cut = why;
            if (count == 0) return;
            if (forming is null && !TryStartBatch(waiting[taken[0]], why)) continue;
            for (var i = 0; i < count; i++) forming!.Add(waiting[taken[i]]);
            Array.Sort(taken, 0, count);
            for (var i = count - 1; i >= 0; i--) waiting.RemoveAt(taken[i]);
            return;
        }
    }

    private (int Count, BatchCut Why) Plan()
    {
        if (candidates.Length < waiting.Count)
        {
            candidates = new BatchCandidate[waiting.Count * 2];
            taken = new int[waiting.Count * 2];
        }

        for (var i = 0; i < waiting.Count; i++)
        {
            var request = waiting[i].Request;
            var arrived = waiting[i].Arrived / (Stopwatch.Frequency / 1000);
            var due = request.TimeoutUs > 0
                ? Math.Min(arrived + (request.TimeoutUs / 1000), arrived + DefaultDueMs)
                : arrived + DefaultDueMs;
            candidates[i] = new BatchCandidate(request.Share, request.Shape, request.Priority, due);
        }

        return BatchPlanner.Plan(
            candidates.AsSpan(0, waiting.Count),
            forming?.Share ?? 0,
            forming?.Shape ?? 0,
            model.MaxBatch,
            taken);
    }

    /// <summary>
    /// Starts a batch with its first request. Rejects the request and returns false if there is no memory. The caller
    /// holds the lock.
    /// </summary>
    private bool TryStartBatch(PendingInference first, BatchCut why)
    {
        try
        {
            forming = new Batch(memory, memory.Rent(first.Request), first.Request.Shape, statistics)
            {
                Cut = why,
            };
            return true;
        }
        catch (Exception e)
        {
            waiting.Remove(first);
            first.Reject(BatchMemory.Insufficient(e));
            return false;
        }
    }

    /// <summary>
    /// Returns the next batch if it is complete and a slot is free. If no slot is free, the scheduler waits for one.
    /// The caller holds the lock.
    /// </summary>
    private Batch? TakeReadyBatch()
    {
        if (forming is not { Unfilled: 0 } || isWaitingForSlot) return null;
        if (slots.EnterOrWait(this)) return CloseBatch();
        isWaitingForSlot = true;
        return null;
    }

    /// <summary>Closes the current batch and fills the next one. The caller holds the lock.</summary>
    private Batch CloseBatch()
    {
        var batch = forming!;
        forming = null;
        FillBatch();
        return batch;
    }

    /// <summary>A reference to the model that is released once.</summary>
    private sealed class Reference(BatchScheduler scheduler) : IDisposable
    {
        private BatchScheduler? holder = scheduler;

        public void Dispose() => Interlocked.Exchange(ref holder, null)?.Exit();
    }

    private void Execute(Batch batch)
    {
        try
        {
            batch.Execute();
        }
        finally
        {
            slots.Leave();
        }
    }
}
