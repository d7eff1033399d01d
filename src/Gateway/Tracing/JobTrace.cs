using System.Diagnostics;
using Sluice.Domain.Fleet;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// The spans of a job, by OpenTelemetry's conventions of messaging: the submission is a span of the request, and each
/// attempt begins a trace with a link to it.
/// </summary>
internal sealed class JobTrace : IDisposable
{
    private readonly Activity span;

    private JobTrace(Activity span) => this.span = span;

    /// <summary>Starts the span of a submission; null: the request is not recorded.</summary>
    public static Activity? StartSubmission(HttpContext request, string endpoint, string job)
    {
        var span = RequestTrace.Find(request)?.Start($"submit {endpoint}", ActivityKind.Producer);
        return span is null ? null : SetTags(span, endpoint, job, "submit", "send");
    }

    /// <summary>
    /// Starts the trace of a line of a batch with its submission; null: it is not sampled. The sampler decides about
    /// each line as about a request.
    /// </summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="job">The job of the line.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="stored">The context that the batch stores; null: its submission was not recorded.</param>
    public static Activity? StartLine(string endpoint, string job, string batch, string? stored)
    {
        if (!Spans.AreEnabled) return null;
        ActivityContext? link = TraceText.TryParse(stored, out var submission) ? submission : null;
        var span = Spans.Start($"submit {endpoint}", ActivityKind.Producer, default, link: link);
        return span is null ? null : SetTags(span, endpoint, job, "submit", "send").SetTag(SpanNames.Batch, batch);
    }

    /// <summary>
    /// Starts the trace of an attempt, with its wait; null: the submission was not recorded.
    /// </summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="job">The job.</param>
    /// <param name="attempt">The number of the attempt.</param>
    /// <param name="stored">The context that the job stores; null: none.</param>
    /// <param name="queued">When the job was last queued; the default value: unknown.</param>
    /// <param name="now">The current time.</param>
    /// <param name="worker">The worker.</param>
    public static JobTrace? StartAttempt(string endpoint, string job, int attempt, string? stored,
        DateTimeOffset queued, DateTimeOffset now, WorkerAddress worker)
    {
        if (stored is null || !Spans.AreEnabled || !TraceText.TryParse(stored, out var submission)) return null;
        // The clock of Redis may be ahead.
        var from = queued == default || queued > now ? now : queued;
        if (Spans.Start($"attempt {endpoint}", ActivityKind.Consumer, default, from.UtcDateTime, submission)
            is not { } span) return null;
        SetTags(span, endpoint, job, "attempt", "process").SetTag(SpanNames.Attempt, attempt);
        Spans.AddWait(span.Context, from.UtcDateTime, now.UtcDateTime, worker);
        return new JobTrace(span);
    }

    /// <summary>Starts the request of the attempt to its worker.</summary>
    public Activity? StartForward(string worker) =>
        Spans.Start(SpanNames.Forward, ActivityKind.Client, span.Context)?.SetTag(SpanNames.Worker, worker);

    /// <summary>Sets the outcome of the attempt.</summary>
    /// <param name="outcome">The outcome.</param>
    /// <param name="error">The code of the error; null: none.</param>
    public void SetOutcome(string outcome, string? error)
    {
        span.SetTag(SpanNames.Outcome, outcome);
        if (error is not null) span.Fail(error);
    }

    /// <summary>Ends the attempt.</summary>
    public void Dispose() => span.Dispose();

    /// <summary>
    /// Starts the span of a webhook delivery, in the trace of the submission; null: that is not recorded.
    /// </summary>
    public static Activity? StartDelivery(string endpoint, string delivery, string? stored) =>
        TraceText.TryParse(stored, out var submission)
            ? Spans.Start($"webhook {endpoint}", ActivityKind.Client, submission)?
                .SetTag(SpanNames.Method, "POST").SetTag(SpanNames.Delivery, delivery)
            : null;

    private static Activity SetTags(Activity span, string endpoint, string job, string name, string type) => span
        .SetTag(SpanNames.MessagingSystem, "sluice")
        .SetTag(SpanNames.MessagingDestination, endpoint)
        .SetTag(SpanNames.MessagingName, name)
        .SetTag(SpanNames.MessagingType, type)
        .SetTag(SpanNames.MessageId, job)
        .SetTag(SpanNames.Endpoint, endpoint);
}
