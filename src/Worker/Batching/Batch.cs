using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Requests that run together, with the memory of their tensors. Who is placed reads his tensors straight into his rows, all of them at
/// the same time; when the last has done so it is run. Its memory is given back when the last of its answers is written.
/// </summary>
internal sealed class Batch(BatchMemory memory, TensorSet tensors, int shape, ModelStatistics statistics)
{
    private readonly List<InferTicket> tickets = [];
    private int readers;

    /// <summary>Who is in it.</summary>
    public IReadOnlyList<InferTicket> Tickets => tickets;

    /// <summary>What its requests' tensors have in common; see <c>InferRequest.Shape</c>.</summary>
    public int Shape => shape;

    public int Rows { get; private set; }

    /// <summary>Rows that are taken of what a batch may have; a request that goes alone takes all of them.</summary>
    public int Share { get; private set; }

    /// <summary>Requests whose tensors are not in their place yet.</summary>
    public int Unfilled { get; set; }

    /// <summary>Why it took no more.</summary>
    public BatchCut Cut { get; set; }

    public TensorSet Tensors => tensors;

    /// <summary>Gives a request the next rows.</summary>
    public void Add(InferTicket ticket)
    {
        var first = Rows;
        tickets.Add(ticket);
        Rows += ticket.Request.Rows;
        Share += ticket.Request.Share;
        Unfilled++;
        ticket.Place(this, first);
    }

    /// <summary>Runs it; every ticket is told its end, when the batch itself needs nothing of the model any more: the last to be told may
    /// free the session.</summary>
    public void Execute()
    {
        var left = Compact();
        if (tickets.Count == 0) memory.Return(tensors);
        left?.ForEach(t => t.Fail(new OperationCanceledException(t.Late)));
        if (tickets.Count > 0) Run();
    }

    /// <summary>One of its answers is written.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref readers) == 0) memory.Return(tensors);
    }

    /// <summary>Before the run: those who left, or whose tensors were wrong, are taken out and returned (null: nobody), and the others move up.</summary>
    private List<InferTicket>? Compact()
    {
        List<InferTicket>? left = null;
        var rows = 0;
        for (var i = 0; i < tickets.Count; i++)
        {
            var ticket = tickets[i];
            if (!ticket.Filled || ticket.Late.IsCancellationRequested || ticket.Overdue)
            {
                (left ??= []).Add(ticket);
                tickets.RemoveAt(i--);
                continue;
            }

            if (ticket.FirstRow != rows) tensors.Move(ticket.FirstRow, rows, ticket.Request.Rows);
            ticket.FirstRow = rows;
            rows += ticket.Request.Rows;
        }

        Rows = rows;
        readers = tickets.Count;
        return left;
    }

    /// <summary>Stopped when all of its callers have gone.</summary>
    private void Run()
    {
        var started = Stopwatch.GetTimestamp();
        Exception? failure = null;
        foreach (var ticket in tickets) ticket.Begun = started;
        try
        {
            if (tickets.Count == 1) RunLanes.Run(static (options, batch) => batch.Run(options), this, tickets[0].Gone);
            else RunForAll();
        }
        catch (Exception e)
        {
            // Whatever it is: those who wait are told.
            failure = e;
        }

        if (failure is OnnxRuntimeException && tickets.Count > 1 && tickets.Exists(t => !t.Gone.IsCancellationRequested))
        {
            RunApart();
            return;
        }

        var took = Stopwatch.GetElapsedTime(started);
        statistics.Executed(Rows, Cut, took, failure is null);
        if (failure is not null) memory.Discard(tensors);
        foreach (var ticket in tickets)
        {
            ticket.Infer = took;
            if (failure is OnnxRuntimeException own) ticket.Fail(own);
            else if (failure is not null) ticket.Fail(failure);
            else ticket.Succeed();
        }
    }

    /// <summary>Runs until the end, or until nobody waits for it any more.</summary>
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
            // Each waits for a callback that is on its way: the options are still there for it.
            foreach (var watch in watches) watch.Dispose();
        }
    }

    /// <summary>What one request holds made the model fail: each runs alone, and the others do not suffer for it. All are taken out before
    /// the first is run and told.</summary>
    private void RunApart()
    {
        var apart = new List<Batch>(tickets.Count);
        Exception? noMemory = null;
        try
        {
            foreach (var ticket in tickets) apart.Add(Alone(ticket));
        }
        catch (Exception e)
        {
            noMemory = e;
        }

        memory.Discard(tensors);
        foreach (var batch in apart) batch.Run();
        foreach (var ticket in tickets.Skip(apart.Count))
            ticket.Fail(new InvalidRequestException($"no memory for the tensors of this request: {noMemory!.Message}", 503));
    }

    private Batch Alone(InferTicket ticket)
    {
        var alone = new Batch(memory, memory.Extract(tensors, ticket.FirstRow, ticket.Request.Rows), shape, statistics) { Cut = Cut, Rows = ticket.Request.Rows };
        alone.tickets.Add(ticket);
        alone.readers = 1;
        (ticket.Batch, ticket.FirstRow) = (alone, 0);
        return alone;
    }

    private int Run(RunOptions options)
    {
        tensors.Run(options, Rows);
        return Rows;
    }
}
