using System.Diagnostics;
using Sluice.Worker.Api;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Batches of one model. Requests gather in the one batch that is formed ahead, for as long as the device is busy with others; no timer
/// ever waits for more of them, so that at low load a request runs at once, on its own thread. Owns who waits and the forming batch;
/// who goes together is <see cref="BatchPlanner"/>'s to say.
/// </summary>
internal sealed class BatchScheduler : ILaneUser, IThreadPoolWorkItem, IDisposable
{
    /// <summary>A request without a limit is due after this: those with one do not pass it for ever.</summary>
    private static readonly long Patience = (long)TimeSpan.FromSeconds(10).TotalMilliseconds;

    private readonly LoadedModel model;
    private readonly RunLanes lanes;
    private readonly int maxQueue;
    private readonly ModelUsers users;
    private readonly BatchMemory memory;
    private readonly Lock gate = new();
    private readonly List<InferTicket> waiting = [];
    private BatchCandidate[] candidates = new BatchCandidate[16];
    private int[] taken = new int[16];
    private Batch? forming;
    private bool inLine;
    private bool gathering;
    private int inside;

    /// <param name="model">The model.</param>
    /// <param name="lanes">Where it runs.</param>
    /// <param name="maxQueue">Requests that may wait; one more gets 503.</param>
    /// <param name="make">Allocates a batch's tensors by its first request; null: as the model wants them.</param>
    public BatchScheduler(LoadedModel model, RunLanes lanes, int maxQueue, Func<InferRequest, TensorSet>? make = null)
    {
        (this.model, this.lanes, this.maxQueue) = (model, lanes, maxQueue);
        users = new ModelUsers(Free);
        memory = new BatchMemory(users, make ?? model.NewTensors);
    }

    /// <summary>Requests inside, answered or not.</summary>
    public int Inside => Volatile.Read(ref inside);

    /// <summary>Rows cost less together: a batch waits until those who have come already are read; see <see cref="BatchGain"/>.</summary>
    public bool Gathers { get; set; }

    /// <summary>Bytes of the host's buffers for batches.</summary>
    public long BufferBytes => memory.Bytes;

    /// <summary>Runs a request. The answer is to be disposed of when it is written.</summary>
    public async ValueTask<Inference> RunAsync(InferRequest request, CancellationToken gone)
    {
        using var limit = request.TimeoutUs > 0 ? CancellationTokenSource.CreateLinkedTokenSource(gone) : null;
        limit?.CancelAfter(TimeSpan.FromMicroseconds(request.TimeoutUs));
        var ticket = new InferTicket(request, gone, limit?.Token ?? gone);
        var placed = Enter(ticket);
        try
        {
            if (!placed.IsCompletedSuccessfully) await WaitForPlaceAsync(ticket, placed);
            Fill(ticket);
            if (TakeFilled(ticket) is { } ready) Execute(ready);
            await ticket.Done;
            return new Inference(this, ticket);
        }
        catch (Exception e)
        {
            Exit();
            model.Statistics.Failed(Stopwatch.GetElapsedTime(ticket.Arrived));
            if (e is OperationCanceledException && !gone.IsCancellationRequested) throw new InvalidRequestException("Request timeout expired", 503);
            throw;
        }
    }

    /// <summary>A lane is ours: the batch that is formed ahead has its turn.</summary>
    public void Enter()
    {
        Batch? ready;
        lock (gate)
        {
            inLine = false;
            ready = forming is { Unfilled: 0 } ? Close() : null;
        }

        if (ready is null) lanes.Leave();
        else Execute(ready);
    }

    /// <summary>Refuses what comes from now on. The model is freed by the last who leaves: a session that ends while it runs is the end
    /// of the process.</summary>
    public void Dispose() => users.Close();

    /// <summary>Something else than a batch uses the model.</summary>
    public IDisposable Hold()
    {
        EnterOrThrow();
        return new Held(this);
    }

    /// <summary>Gives it tensors for its first batch.</summary>
    public void Adopt(TensorSet tensors) => memory.Adopt(tensors);

    /// <summary>A request's answer is written, or it got none.</summary>
    public void Exit()
    {
        Interlocked.Decrement(ref inside);
        users.Leave();
    }

    private void EnterOrThrow()
    {
        if (!users.TryEnter()) throw new InvalidRequestException($"Request for unknown model: '{model.Name}' is not found (it was unloaded)", 404);
        Interlocked.Increment(ref inside);
    }

    private void Free()
    {
        memory.Dispose();
        model.Free();
    }

    private Task Enter(InferTicket ticket)
    {
        lock (gate)
        {
            if (waiting.Count >= maxQueue) throw new InvalidRequestException("Exceeds maximum queue size", 503);
            EnterOrThrow();
            waiting.Add(ticket);
            Form();
            return ticket.Placed;
        }
    }

    private async Task WaitForPlaceAsync(InferTicket ticket, Task placed)
    {
        await using var leave = ticket.Late.UnsafeRegister(static state =>
        {
            var (scheduler, ticket) = ((BatchScheduler, InferTicket))state!;
            lock (scheduler.gate)
                if (!scheduler.waiting.Remove(ticket)) return;
            ticket.Refuse(new OperationCanceledException(ticket.Late));
        }, (this, ticket));
        await placed;
    }

    private void Fill(InferTicket ticket)
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
            Withdraw(ticket);
            throw ticket.Request.Explain(e);
        }

        ticket.Input = Stopwatch.GetElapsedTime(started);
    }

    /// <summary>A request's tensors stand in their place, or never will: its batch, when it waited for them alone.</summary>
    private Batch? TakeFilled(InferTicket ticket)
    {
        lock (gate)
        {
            ticket.Batch!.Unfilled--;
            if (!Gathers || Inside < 2 || forming is not { Unfilled: 0 } || forming.Share >= model.MaxBatch) return TakeReady();
            // To the end of the thread pool's queue: behind the requests that have come, and before those that have not. No time passes for nothing.
            if (!gathering) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            gathering = true;
            return null;
        }
    }

    /// <summary>Those who had come have been read.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        Batch? ready;
        lock (gate)
        {
            gathering = false;
            ready = TakeReady();
        }

        if (ready is not null) Execute(ready);
    }

    /// <summary>A request whose tensors are wrong: its batch goes on without it.</summary>
    private void Withdraw(InferTicket ticket)
    {
        if (TakeFilled(ticket) is { } ready) ThreadPool.UnsafeQueueUserWorkItem(static r => r.Scheduler.Execute(r.Batch), (Scheduler: this, Batch: ready), false);
    }

    /// <summary>Moves those who wait into the forming batch. Under the lock.</summary>
    private void Form()
    {
        // Planned anew when there was no memory for the first of them: those behind him have nobody else to wait for.
        while (waiting.Count > 0 && (forming is null || forming.Share < model.MaxBatch))
        {
            var (count, why) = Plan();
            if (forming is not null) forming.Cut = why;
            if (count == 0) return;
            if (forming is null && !Begin(waiting[taken[0]], why)) continue;
            for (var i = 0; i < count; i++) forming!.Add(waiting[taken[i]]);
            Array.Sort(taken, 0, count);
            for (var i = count - 1; i >= 0; i--) waiting.RemoveAt(taken[i]);
            return;
        }
    }

    private (int Count, BatchCut Why) Plan()
    {
        if (candidates.Length < waiting.Count) (candidates, taken) = (new BatchCandidate[waiting.Count * 2], new int[waiting.Count * 2]);
        for (var i = 0; i < waiting.Count; i++)
        {
            var request = waiting[i].Request;
            var arrived = waiting[i].Arrived / (Stopwatch.Frequency / 1000);
            candidates[i] = new BatchCandidate(request.Share, request.Shape, request.Priority,
                request.TimeoutUs > 0 ? Math.Min(arrived + (request.TimeoutUs / 1000), arrived + Patience) : arrived + Patience);
        }

        return BatchPlanner.Plan(candidates.AsSpan(0, waiting.Count), forming?.Share ?? 0, forming?.Shape ?? 0, model.MaxBatch, taken);
    }

    /// <summary>Begins a batch; false: there is no memory for its first request, which is told so. Under the lock.</summary>
    private bool Begin(InferTicket first, BatchCut why)
    {
        try
        {
            forming = new Batch(memory, memory.Rent(first.Request), first.Request.Shape, model.Statistics) { Cut = why };
            return true;
        }
        catch (Exception e)
        {
            waiting.Remove(first);
            first.Refuse(new InvalidRequestException($"no memory for the tensors of this request: {e.Message}", 503));
            return false;
        }
    }

    /// <summary>The forming batch, when it is whole and a lane is free; else it has a place in the line. Under the lock.</summary>
    private Batch? TakeReady()
    {
        if (forming is not { Unfilled: 0 } || inLine) return null;
        if (lanes.EnterOrWait(this)) return Close();
        inLine = true;
        return null;
    }

    /// <summary>Closes the forming batch, and forms the next one. Under the lock.</summary>
    private Batch Close()
    {
        var batch = forming!;
        forming = null;
        Form();
        return batch;
    }

    private sealed class Held(BatchScheduler scheduler) : IDisposable
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
            lanes.Leave();
        }
    }
}
