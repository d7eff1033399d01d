using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Requests;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Tracks a request through its states: waiting, placed in a batch, filled, run. Owned by the model's
/// <see cref="BatchScheduler"/>.
/// </summary>
internal sealed class PendingInference(InferRequest request, CancellationToken gone, CancellationToken late)
{
    private TaskCompletionSource? placed;
    private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The request.</summary>
    public InferRequest Request => request;

    /// <summary>Cancelled when the caller is disconnected.</summary>
    public CancellationToken Gone => gone;

    /// <summary>
    /// Cancelled when the caller is disconnected or the request's timeout has expired. Applies only until the run
    /// starts.
    /// </summary>
    public CancellationToken Late => late;

    /// <summary>
    /// Whether the request's timeout has expired. Checked in addition to <see cref="Late"/>, because its timer can
    /// fire late.
    /// </summary>
    public bool Overdue =>
        request.TimeoutUs > 0 && Stopwatch.GetElapsedTime(Arrived).TotalMicroseconds > request.TimeoutUs;

    /// <summary>Timestamp of the arrival.</summary>
    public long Arrived { get; } = Stopwatch.GetTimestamp();

    /// <summary>Timestamp of the start of the batch's run.</summary>
    public long Begun { get; set; }

    /// <summary>Time to read the tensors into the memory of the batch.</summary>
    public TimeSpan Input { get; set; }

    /// <summary>Duration of the batch's run.</summary>
    public TimeSpan Infer { get; set; }

    /// <summary>The batch of the request; null: the request is waiting.</summary>
    public Batch? Batch { get; set; }

    /// <summary>First row of the request in its batch.</summary>
    public int FirstRow { get; set; }

    /// <summary>Whether the tensors are in the memory of the batch.</summary>
    public bool Filled { get; set; }

    /// <summary>
    /// Completes when the request has a place in a batch, and fails if it is rejected. The task is allocated only if
    /// the request must wait. The caller holds the scheduler's lock.
    /// </summary>
    public Task Placed => Batch is not null ? Task.CompletedTask : PlacedSource.Task;

    /// <summary>Completes when the batch has run.</summary>
    public Task Done => done.Task;

    private TaskCompletionSource PlacedSource =>
        placed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Assigns a place in a batch.</summary>
    public void Place(Batch batch, int firstRow)
    {
        (Batch, FirstRow) = (batch, firstRow);
        placed?.TrySetResult();
    }

    /// <summary>Completes <see cref="Placed"/> with an error.</summary>
    public void Reject(Exception error) => PlacedSource.TrySetException(error);

    /// <summary>Completes <see cref="Done"/>.</summary>
    public void Succeed() => done.TrySetResult();

    /// <summary>Completes <see cref="Done"/> with an error.</summary>
    public void Fail(Exception error) => done.TrySetException(error);

    /// <summary>
    /// Completes <see cref="Done"/> with an error of the model: status 400 if the inputs caused it, else status 500.
    /// </summary>
    public void Fail(OnnxRuntimeException error) => Fail(ExecutionSlots.IsClients(error)
        ? new InvalidRequestException(RunError.Clean(error.Message))
        : (Exception)error);
}
