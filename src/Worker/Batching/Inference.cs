using System.Diagnostics;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>The result of a request. It is stored in the memory of its batch until it is disposed of.</summary>
public sealed class Inference : IDisposable
{
    private readonly BatchScheduler scheduler;
    private readonly PendingInference ticket;

    internal Inference(BatchScheduler scheduler, PendingInference ticket)
    {
        this.scheduler = scheduler;
        this.ticket = ticket;
    }

    /// <summary>Timestamp of the request's arrival.</summary>
    public long Arrived => ticket.Arrived;

    /// <summary>Timestamp of the start of the batch's run.</summary>
    public long Begun => ticket.Begun;

    /// <summary>Time from the arrival to the start of the batch's run, without the time to read the tensors.</summary>
    public TimeSpan Queue
    {
        get
        {
            var wait = Stopwatch.GetElapsedTime(ticket.Arrived, ticket.Begun) - Input;
            return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
        }
    }

    /// <summary>Time to read the tensors.</summary>
    public TimeSpan Input => ticket.Input;

    /// <summary>Duration of the batch's run.</summary>
    public TimeSpan Infer => ticket.Infer;

    /// <summary>Time from the arrival until now.</summary>
    public TimeSpan Total => Stopwatch.GetElapsedTime(ticket.Arrived);

    /// <summary>Number of rows of the batch.</summary>
    public int BatchRows => ticket.Batch!.Rows;

    /// <summary>The requests of the batch, with this one.</summary>
    internal IReadOnlyList<PendingInference> Neighbours => ticket.Batch!.Tickets;

    /// <summary>Returns the request's part of an output.</summary>
    public OutputTensor Output(TensorSpec spec) =>
        ticket.Batch!.Tensors.Output(spec, ticket.FirstRow, ticket.Request.Rows);

    /// <summary>Releases the memory of the batch and the reference to the model.</summary>
    public void Dispose()
    {
        ticket.Batch!.Leave();
        scheduler.Exit();
    }
}
