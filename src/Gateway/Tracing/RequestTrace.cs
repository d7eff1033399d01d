using System.Diagnostics;
using Sluice.Domain.Fleet;

namespace Sluice.Gateway.Tracing;

/// <summary>The trace of one request. It exists only for requests that are sampled, or that a client sampled.</summary>
internal sealed class RequestTrace
{
    private readonly Activity? server;
    private readonly ActivityContext context;
    private readonly long started = Stopwatch.GetTimestamp();

    private RequestTrace(Activity? server, ActivityContext context)
    {
        this.server = server;
        this.context = context;
    }

    /// <summary>Creates the trace of a request with its span.</summary>
    public static RequestTrace Recorded(Activity server) => new(server, server.Context);

    /// <summary>
    /// Creates the trace of a request that the client recorded, and the gateway does not: the worker must not either. A
    /// changed flag needs a new parent id (W3C Trace Context).
    /// </summary>
    public static RequestTrace Unrecorded(ActivityContext client) => new(null, new ActivityContext(
        client.TraceId, ActivitySpanId.CreateRandom(), ActivityTraceFlags.None, client.TraceState));

    /// <summary>Returns the trace of a request; null: it has none.</summary>
    public static RequestTrace? Find(HttpContext request) =>
        Spans.AreEnabled ? request.Features.Get<RequestTrace>() : null;

    /// <summary>The span of the request; null: the gateway does not record it.</summary>
    public Activity? Server => server;

    /// <summary>Sets the headers of a request to a worker.</summary>
    /// <param name="headers">The headers.</param>
    /// <param name="forward">The span of the attempt.</param>
    public void Write(System.Net.Http.Headers.HttpRequestHeaders headers, Activity? forward) =>
        TraceText.Write(headers, forward?.Context ?? context);

    /// <summary>Adds the wait for a slot.</summary>
    /// <param name="since">When it began, as a timestamp of the stopwatch.</param>
    /// <param name="worker">The worker of the slot; null: there was none.</param>
    /// <param name="refusal">Why there was no slot.</param>
    public void AddWait(long since, WorkerAddress? worker, string? refusal)
    {
        if (server is not null)
            Spans.AddWait(context, TimeOf(since), TimeOf(Stopwatch.GetTimestamp()), worker, refusal);
    }

    /// <summary>Starts a span in the request; null: the gateway does not record the request.</summary>
    public Activity? Start(string name, ActivityKind kind) =>
        server is null ? null : Spans.Start(name, kind, context);

    /// <summary>Sets the outcome of a forwarded request.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="outcome">The outcome.</param>
    /// <param name="isError">Whether the request failed, although its status may have been sent before.</param>
    public void SetOutcome(string endpoint, string outcome, bool isError)
    {
        server?.SetTag(SpanNames.Endpoint, endpoint).SetTag(SpanNames.Outcome, outcome);
        if (isError) server?.Fail(outcome);
    }

    private DateTime TimeOf(long timestamp) => server!.StartTimeUtc + Stopwatch.GetElapsedTime(started, timestamp);
}
