using System.Diagnostics;
using Sluice.Domain.Fleet;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Creates the spans of the gateway. Parents are always passed: no span is ever <see cref="Activity.Current"/>, because
/// loops that a request starts would otherwise add their spans to its trace.
/// </summary>
internal static class Spans
{
    /// <summary>The source of all spans of the gateway.</summary>
    public static readonly ActivitySource Source = new("Sluice.Gateway");

    /// <summary>Whether traces are exported. If not, no span is created.</summary>
    public static bool AreEnabled => Source.HasListeners();

    /// <summary>Starts a span; null: it is not sampled.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="parent">Its parent; the default value: it begins a trace.</param>
    /// <param name="at">When it started; null: now.</param>
    /// <param name="link">The span that caused it; null: none.</param>
    public static Activity? Start(
        string name, ActivityKind kind, ActivityContext parent, DateTime? at = null, ActivityContext? link = null)
    {
        var links = link is { } cause ? new[] { new ActivityLink(cause) } : null;
        var span = Source.CreateActivity(name, kind, parent, links: links);
        if (span is not { Recorded: true }) return null;
        if (at is { } time) span.SetStartTime(time);
        span.Start();
        Activity.Current = null;
        return span;
    }

    /// <summary>Marks a span as failed.</summary>
    /// <param name="span">The span.</param>
    /// <param name="error">A short name of the error. Error texts may contain data of clients.</param>
    public static void Fail(this Activity span, string error) =>
        span.SetStatus(ActivityStatusCode.Error).SetTag(SpanNames.ErrorType, error);

    /// <summary>Ends a span at a time.</summary>
    public static void EndAt(this Activity span, DateTime at)
    {
        span.SetEndTime(at);
        span.Stop();
    }

    /// <summary>
    /// Adds the wait for a slot, with the cold start of its worker as far as it was part of the wait, and its stages.
    /// </summary>
    /// <param name="parent">The request or the attempt that waited.</param>
    /// <param name="from">When the wait began.</param>
    /// <param name="until">When it ended.</param>
    /// <param name="worker">The worker of the slot; null: there was none.</param>
    /// <param name="refusal">Why there was no slot.</param>
    public static void AddWait(
        ActivityContext parent, DateTime from, DateTime until, WorkerAddress? worker, string? refusal = null)
    {
        if (Start(SpanNames.Queue, ActivityKind.Internal, parent, from) is not { } queue) return;
        if (refusal is not null) queue.Fail(refusal);
        if (worker is not null && worker.ReadyAt.UtcDateTime > from)
            AddColdStart(queue.Context, from, until, worker);
        queue.EndAt(until);
    }

    /// <summary>
    /// Adds the start of a worker. The clock of its host may differ, so the span is clipped to the wait.
    /// </summary>
    private static void AddColdStart(ActivityContext parent, DateTime from, DateTime until, WorkerAddress worker)
    {
        var stages = StartStages.Unpack(worker.Start);
        var ready = worker.ReadyAt.UtcDateTime < until ? worker.ReadyAt.UtcDateTime : until;
        var total = stages.FirstOrDefault(s => s.Name == StartStages.Total)?.Ms ?? (ready - from).TotalMilliseconds;
        var at = ready.AddMilliseconds(-total);
        if (Start(SpanNames.ColdStart, ActivityKind.Internal, parent, at > from ? at : from) is not { } start) return;
        start.SetTag(SpanNames.Worker, worker.PodId);
        foreach (var stage in stages.Where(s => s.Name != StartStages.Total))
        {
            var end = at.AddMilliseconds(stage.Ms);
            if (end > from)
                Start(stage.Name, ActivityKind.Internal, start.Context, at > from ? at : from)
                    ?.EndAt(end < ready ? end : ready);
            at = end;
        }

        start.EndAt(ready);
    }
}
