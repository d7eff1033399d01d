using System.Diagnostics;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

/// <summary>A request's answer, in its batch's memory until it is disposed of.</summary>
public sealed class Inference : IDisposable
{
    private readonly BatchScheduler scheduler;
    private readonly InferTicket ticket;

    internal Inference(BatchScheduler scheduler, InferTicket ticket) => (this.scheduler, this.ticket) = (scheduler, ticket);

    /// <summary>Timestamp of its arrival.</summary>
    public long Arrived => ticket.Arrived;

    /// <summary>Timestamp at which the run of its batch began.</summary>
    public long Begun => ticket.Begun;

    /// <summary>From its arrival to the run of its batch, less the reading of its tensors.</summary>
    public TimeSpan Queue => Stopwatch.GetElapsedTime(ticket.Arrived, ticket.Begun) - Input is var t && t > TimeSpan.Zero ? t : TimeSpan.Zero;

    /// <summary>Reading its tensors.</summary>
    public TimeSpan Input => ticket.Input;

    /// <summary>The run of its batch.</summary>
    public TimeSpan Infer => ticket.Infer;

    /// <summary>From its arrival until now.</summary>
    public TimeSpan Total => Stopwatch.GetElapsedTime(ticket.Arrived);

    /// <summary>Rows of its batch.</summary>
    public int BatchRows => ticket.Batch!.Rows;

    /// <summary>Its part of an output.</summary>
    public OutputTensor Output(TensorSpec spec) => ticket.Batch!.Tensors.Output(spec, ticket.FirstRow, ticket.Request.Rows);

    public void Dispose()
    {
        ticket.Batch!.Leave();
        scheduler.Exit();
    }
}
