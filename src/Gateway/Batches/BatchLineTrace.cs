using System.Diagnostics;
using Sluice.Gateway.Tracing;
using Sluice.Domain.Jobs;

namespace Sluice.Gateway.Batches;

/// <summary>
/// The trace of a line of a batch: the submission of its job, with a link to the submission of the batch. It begins
/// with the first try to store the job, and ends when the job is stored.
/// </summary>
/// <param name="batch">The batch.</param>
/// <param name="submission">The context that the batch stores; null: its submission was not recorded.</param>
internal sealed class BatchLineTrace(string batch, string? submission) : IDisposable
{
    private Activity? span;
    private bool isDecided;

    /// <summary>
    /// Starts the trace, unless a try before did, and returns the context that the job stores; null: it is not sampled.
    /// </summary>
    public string? Start(string endpoint, string job)
    {
        // Each line is sampled once, like a request.
        if (!isDecided) span = JobTrace.StartLine(endpoint, job, batch, submission);
        isDecided = true;
        return span is null ? null : TraceText.Format(span.Context);
    }

    /// <summary>Sets what became of a try.</summary>
    public void SetOutcome(SubmitOutcome outcome)
    {
        if (span is not { IsStopped: false }) return;
        span.SetTag(SpanNames.Outcome, outcome.ToString());
        if (outcome == SubmitOutcome.Queued) span.Stop();
    }

    public void Dispose() => span?.Dispose();
}
