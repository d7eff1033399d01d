using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Requests that run together, with the memory of their tensors. Who is placed reads his tensors straight into his rows, all of them at
/// the same time; when the last has done so it is run. Its memory is given back when the last of its answers is written.
/// </summary>
internal sealed class Batch(LoadedModel model, TensorSet tensors, int shape)
{
    private readonly List<InferTicket> tickets = [];
    private int readers;

    /// <summary>Who is in it.</summary>
    public IReadOnlyList<InferTicket> Tickets => tickets;

    /// <summary>What its requests' tensors have in common; see <c>InferRequest.Shape</c>.</summary>
    public int Shape => shape;

    public int Rows { get; private set; }

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
        Unfilled++;
        ticket.Place(this, first);
    }

    /// <summary>Before the run: those who left, or whose tensors were wrong, are taken out, and the others move up.</summary>
    public void Compact()
    {
        var rows = 0;
        for (var i = 0; i < tickets.Count; i++)
        {
            var ticket = tickets[i];
            if (!ticket.Filled || ticket.Late.IsCancellationRequested || ticket.Overdue)
            {
                ticket.Fail(new OperationCanceledException(ticket.Late));
                tickets.RemoveAt(i--);
                continue;
            }

            if (ticket.FirstRow != rows) tensors.Move(ticket.FirstRow, rows, ticket.Request.Rows);
            ticket.FirstRow = rows;
            rows += ticket.Request.Rows;
        }

        Rows = rows;
        readers = tickets.Count;
    }

    /// <summary>Runs it; every ticket is told its end. Stopped when all of its callers have gone.</summary>
    public void Run()
    {
        var started = Stopwatch.GetTimestamp();
        Exception? failure = null;
        foreach (var ticket in tickets) ticket.Begun = started;
        try
        {
            if (tickets.Count == 1) RunLanes.Run(o => Run(o), tickets[0].Gone);
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
        model.Statistics.Executed(Rows, Cut, took, failure is null);
        foreach (var ticket in tickets)
        {
            ticket.Infer = took;
            if (failure is OnnxRuntimeException own) ticket.Fail(own);
            else if (failure is not null) ticket.Fail(failure);
            else ticket.Succeed();
        }

        if (failure is not null) tensors.Dispose();
    }

    /// <summary>One of its answers is written.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref readers) == 0) model.Scheduler.Return(tensors);
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

    /// <summary>What one request holds made the model fail: each runs alone, and the others do not suffer for it.</summary>
    private void RunApart()
    {
        foreach (var ticket in tickets)
        {
            var alone = new Batch(model, ((StackedTensors)tensors).Extract(ticket.FirstRow, ticket.Request.Rows), shape) { Cut = Cut, Rows = ticket.Request.Rows };
            alone.tickets.Add(ticket);
            alone.readers = 1;
            (ticket.Batch, ticket.FirstRow) = (alone, 0);
            alone.Run();
        }

        tensors.Dispose();
    }

    private int Run(RunOptions options)
    {
        tensors.Run(options, Rows);
        return Rows;
    }
}
