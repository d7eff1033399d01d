using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Api;

namespace Sluice.Worker.Batching;

/// <summary>A request on its way through a model: waiting, placed in a batch, filled, run. Owned by the model's <see cref="BatchScheduler"/>.</summary>
internal sealed class InferTicket(InferRequest request, CancellationToken gone, CancellationToken late)
{
    private TaskCompletionSource? placed;
    private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public InferRequest Request => request;

    /// <summary>Nobody waits for the answer any more.</summary>
    public CancellationToken Gone => gone;

    /// <summary>The same, or it has waited for as long as it may. It counts until the run begins.</summary>
    public CancellationToken Late => late;

    /// <summary>Its own limit is over; a timer may be late to say so.</summary>
    public bool Overdue => request.TimeoutUs > 0 && Stopwatch.GetElapsedTime(Arrived).TotalMicroseconds > request.TimeoutUs;

    public long Arrived { get; } = Stopwatch.GetTimestamp();

    /// <summary>When its batch was closed to be run.</summary>
    public long Begun { get; set; }

    /// <summary>How long its tensors took to be read into their place.</summary>
    public TimeSpan Input { get; set; }

    /// <summary>How long the model ran.</summary>
    public TimeSpan Infer { get; set; }

    /// <summary>Its batch, once it is placed.</summary>
    public Batch? Batch { get; set; }

    /// <summary>Its first row there.</summary>
    public int FirstRow { get; set; }

    /// <summary>Its tensors stand in their place.</summary>
    public bool Filled { get; set; }

    /// <summary>Ends when it has a place, or throws; made only for who has to wait. Under the scheduler's lock.</summary>
    public Task Placed => Batch is not null ? Task.CompletedTask : Waits.Task;

    public Task Done => done.Task;

    public void Place(Batch batch, int firstRow)
    {
        (Batch, FirstRow) = (batch, firstRow);
        placed?.TrySetResult();
    }

    /// <summary>It gets no place.</summary>
    public void Refuse(Exception why) => Waits.TrySetException(why);

    private TaskCompletionSource Waits => placed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Succeed() => done.TrySetResult();

    public void Fail(Exception why) => done.TrySetException(why);

    /// <summary>A failure of the model is the server's unless the inputs are its cause.</summary>
    public void Fail(OnnxRuntimeException why) =>
        Fail(Runtime.RunLanes.IsClients(why) ? new Runtime.InvalidRequestException(Runtime.RunError.Clean(why.Message)) : (Exception)why);
}
