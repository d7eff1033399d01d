using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;

namespace Sluice.Worker.Telemetry;

/// <summary>
/// The span of a generation or of embeddings, with the names of OpenTelemetry's conventions for generative AI. It
/// contains numbers, and no text.
/// </summary>
internal sealed class GenerationSpan : IDisposable
{
    private readonly Activity span;
    private readonly long started = Stopwatch.GetTimestamp();
    private long? first;

    private GenerationSpan(Activity span) => this.span = span;

    /// <summary>Starts the span; null: the request is not recorded.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">The name of the model.</param>
    public static GenerationSpan? Start(HttpContext context, string model)
    {
        if (WorkerSpans.Find(context) is not { } request) return null;
        var operation = OperationOf(context.Request.Path.Value ?? "");
        if (WorkerSpans.Start($"{operation} {model}", ActivityKind.Internal, request.Context) is not { } span)
            return null;
        span.SetTag("gen_ai.operation.name", operation)
            .SetTag("gen_ai.provider.name", "sluice")
            .SetTag("gen_ai.request.model", model);
        return new GenerationSpan(span);
    }

    /// <summary>Records the first token. Later calls have no effect.</summary>
    public void OnToken() => first ??= Stopwatch.GetTimestamp();

    /// <summary>Adds the stages of a text that has ended.</summary>
    public void AddText(GenerationTally tally)
    {
        if (tally.Timeline is not { } timeline) return;
        var at = WorkerSpans.Clock();
        var (from, parent) = (at(timeline.Arrived), span.Context);
        if (!timeline.HasStarted) return;
        var begun = from + timeline.Queue;
        WorkerSpans.Add("queue", parent, from, begun);
        if (!timeline.HasTokens) return;
        var token = begun + timeline.Prefill;
        WorkerSpans.Add("prefill", parent, begun, token);
        WorkerSpans.Add("decode", parent, token, token + timeline.Decode);
    }

    /// <summary>Sets what the engine computed.</summary>
    public void SetUsage(GenerationUsage usage)
    {
        span.SetTag("gen_ai.usage.input_tokens", usage.Prompt)
            .SetTag("gen_ai.usage.output_tokens", usage.Generated)
            .SetTag("gen_ai.usage.cache_read.input_tokens", usage.Cached);
        if (first is { } at)
            span.SetTag("gen_ai.response.time_to_first_chunk", Stopwatch.GetElapsedTime(started, at).TotalSeconds);
    }

    /// <summary>Marks the generation as failed. A client that has disconnected is no failure.</summary>
    public void Fail(Exception error)
    {
        if (error is not OperationCanceledException) span.Fail(error.GetType().Name);
    }

    /// <summary>Ends the span.</summary>
    public void Dispose() => span.Dispose();

    private static string OperationOf(string path) => path switch
    {
        "/v1/chat/completions" => "chat",
        "/v1/embeddings" => "embeddings",
        _ => "text_completion",
    };
}
