using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Runs several requests together, in the shared memory of their tensors. Each request reads its tensors directly
/// into its rows, concurrently with the others. The batch runs after all requests have read their tensors. The memory
/// is returned after the last response is written.
/// </summary>
internal sealed class Batch(BatchMemory memory, TensorSet tensors, int shape, ModelStatistics statistics)
{
    private readonly List<PendingInference> tickets = [];
    private int readers;

    /// <summary>The requests of the batch.</summary>
    public IReadOnlyList<PendingInference> Tickets => tickets;

    /// <summary>The shape key of all requests of the batch; see <c>InferRequest.Shape</c>.</summary>
    public int Shape => shape;

    /// <summary>Number of rows of all requests.</summary>
    public int Rows { get; private set; }

    /// <summary>Rows of the maximum batch size that are in use. A request that runs alone uses all of them.</summary>
    public int Share { get; private set; }

    /// <summary>Number of requests that have not read their tensors yet.</summary>
    public int Unfilled { get; set; }

    /// <summary>Why no more requests were added.</summary>
    public BatchCut Cut { get; set; }

    /// <summary>Memory of the tensors.</summary>
    public TensorSet Tensors => tensors;

    /// <summary>Adds a request and assigns the next rows to it.</summary>
    public void Add(PendingInference ticket)
    {
        var first = Rows;
        tickets.Add(ticket);
        Rows += ticket.Request.Rows;
        Share += ticket.Request.Share;
        Unfilled++;
        ticket.Place(this, first);
    }

    /// <summary>
    /// Runs the batch and completes all tickets. The tickets are completed after the batch's last use of the model,
    /// because the last completed ticket can free the session.
    /// </summary>
    public void Execute()
    {
        var removed = Compact();
        if (tickets.Count == 0) memory.Return(tensors);
        removed?.ForEach(t => t.Fail(new OperationCanceledException(t.Late)));
        if (tickets.Count > 0) Run();
    }

    /// <summary>Releases the memory of one response after it was written.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref readers) == 0) memory.Return(tensors);
    }

    /// <summary>
    /// Removes the requests that were cancelled, are overdue or have invalid tensors, and moves the rows of the
    /// others up.
    /// </summary>
    /// <returns>The removed requests; null if there are none.</returns>
    private List<PendingInference>? Compact()
    {
        List<PendingInference>? removed = null;
        var rows = 0;
        for (var i = 0; i < tickets.Count; i++)
        {
            var ticket = tickets[i];
            if (!ticket.Filled || ticket.Late.IsCancellationRequested || ticket.Overdue)
            {
                (removed ??= []).Add(ticket);
                tickets.RemoveAt(i--);
                continue;
            }

            if (ticket.FirstRow != rows) tensors.Move(ticket.FirstRow, rows, ticket.Request.Rows);
            ticket.FirstRow = rows;
            rows += ticket.Request.Rows;
        }

        Rows = rows;
        readers = tickets.Count;
        return removed;
    }

    /// <summary>
    /// Runs the model and completes the tickets. The run is terminated if all callers are disconnected.
    /// </summary>
    private void Run()
    {
        var started = Stopwatch.GetTimestamp();
        Exception? failure = null;
        foreach (var ticket in tickets) ticket.Begun = started;
        try
        {
            if (tickets.Count == 1)
                ExecutionSlots.Run(static (options, batch) => batch.Run(options), this, tickets[0].Gone);
            else RunForAll();
        }
        catch (Exception e)
        {
            // Every exception must complete the tickets, so that no caller waits forever.
            failure = e;
        }

        if (failure is OnnxRuntimeException
            && tickets.Count > 1
            && tickets.Exists(t => !t.Gone.IsCancellationRequested))
        {
            RunSeparately();
            return;
        }

        var duration = Stopwatch.GetElapsedTime(started);
        statistics.RecordRun(Rows, Cut, duration, failure is null);
        if (failure is not null) memory.Discard(tensors);
        foreach (var ticket in tickets)
        {
            ticket.Infer = duration;
            if (failure is OnnxRuntimeException own) ticket.Fail(own);
            else if (failure is not null) ticket.Fail(failure);
            else ticket.Succeed();
        }
    }

    /// <summary>Runs the model for several requests. Terminates the run if all callers are disconnected.</summary>
    private void RunForAll()
    {
        using var options = new RunOptions();
        var waiting = tickets.Count;
        var watches = tickets.ConvertAll(t => t.Gone.UnsafeRegister(_ =>
        {
            if (Interlocked.Decrement(ref waiting) == 0) options.Terminate = true;
        }, null));
        try
        {
            Run(options);
        }
        finally
        {
            // Dispose waits for a running callback, so no callback uses the options after they are disposed of.
            foreach (var watch in watches) watch.Dispose();
        }
    }

    /// <summary>
    /// Runs each request alone after a failure, so that the data of one request does not fail the others. All
    /// requests are extracted before the first run, because completing a ticket can free the session.
    /// </summary>
    private void RunSeparately()
    {
        var separate = new List<Batch>(tickets.Count);
        Exception? noMemory = null;
        try
        {
            foreach (var ticket in tickets) separate.Add(Extract(ticket));
        }
        catch (Exception e)
        {
            noMemory = e;
        }

        memory.Discard(tensors);
        foreach (var batch in separate) batch.Run();
        foreach (var ticket in tickets.Skip(separate.Count))
            ticket.Fail(BatchMemory.Insufficient(noMemory!));
    }

    private Batch Extract(PendingInference ticket)
    {
        var own = memory.Extract(tensors, ticket.FirstRow, ticket.Request.Rows);
        var single = new Batch(memory, own, shape, statistics) { Cut = Cut, Rows = ticket.Request.Rows };
        single.tickets.Add(ticket);
        single.readers = 1;
        (ticket.Batch, ticket.FirstRow) = (single, 0);
        return single;
    }

    private int Run(RunOptions options)
    {
        tensors.Run(options, Rows);
        return Rows;
    }
}
