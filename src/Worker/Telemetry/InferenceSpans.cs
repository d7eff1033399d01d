using System.Diagnostics;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Telemetry;

/// <summary>
/// Adds the spans of an inference to its request, after it has run: the scheduler measures the times.
/// </summary>
internal static class InferenceSpans
{
    /// <summary>The most links of a batch. A batch can have thousands of requests.</summary>
    private const int MaxLinks = 64;

    /// <summary>
    /// Adds <c>queue</c>, <c>batch</c> with links to the other recorded requests of the batch, and <c>run</c> in it.
    /// </summary>
    /// <param name="request">The span of the request; null: it is not recorded.</param>
    /// <param name="inference">The inference.</param>
    /// <param name="model">The name of the model.</param>
    public static void Add(Activity? request, Inference inference, string model)
    {
        if (request is null) return;
        var at = WorkerSpans.Clock();
        var (arrived, begun) = (at(inference.Arrived), at(inference.Begun));
        var filling = begun - inference.Input;
        if (filling < arrived) filling = arrived;
        var end = begun + inference.Infer;
        WorkerSpans.Add("queue", request.Context, arrived, filling);
        var links = inference.Neighbours
            .Where(n => n.Request.Span is { } span && span != request)
            .Take(MaxLinks)
            .Select(n => new ActivityLink(n.Request.Span!.Context));
        if (WorkerSpans.Start("batch", ActivityKind.Internal, request.Context, filling, links) is not { } batch) return;
        batch.SetTag("sluice.model", model)
            .SetTag("sluice.batch.rows", inference.BatchRows)
            .SetTag("sluice.batch.requests", inference.Neighbours.Count);
        WorkerSpans.Add("run", batch.Context, begun, end);
        batch.SetEndTime(end);
        batch.Stop();
    }
}
