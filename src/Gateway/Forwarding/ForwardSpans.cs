using System.Diagnostics;
using Sluice.Gateway.Tracing;

namespace Sluice.Gateway.Forwarding;

/// <summary>Records the waits and the attempts of a forwarded request in its trace.</summary>
internal static class ForwardSpans
{
    /// <summary>Starts the span of an attempt; null: the request is not recorded.</summary>
    public static Activity? Start(ForwardState state)
    {
        if (state.Trace?.Start(SpanNames.Forward, ActivityKind.Client) is not { } span) return null;
        span.SetTag(SpanNames.Worker, state.Worker!.PodId).SetTag(SpanNames.Attempt, state.Attempts);
        if (state.Attempts > 1) span.SetTag(SpanNames.Resends, state.Attempts - 1);
        return state.Forward = span;
    }

    /// <summary>Ends the span of an attempt.</summary>
    /// <param name="state">The request.</param>
    /// <param name="context">The request of the client.</param>
    /// <param name="result">The result of the attempt.</param>
    public static void End(ForwardState state, HttpContext context, ForwardResult result)
    {
        if (state.Forward is not { } span) return;
        state.Forward = null;
        span.SetTag(SpanNames.Outcome, result.Outcome.GetLabel());
        if (result.Outcome == ForwardOutcome.Answered)
        {
            span.SetTag(SpanNames.Status, context.Response.StatusCode);
            if (context.Response.StatusCode >= StatusCodes.Status500InternalServerError) span.Fail("worker");
            AddGeneration(span, state);
        }
        else if (result.Outcome != ForwardOutcome.ClientGone)
        {
            span.Fail(result.Outcome.GetLabel());
        }

        span.Stop();
    }

    /// <summary>
    /// Adds the tokens of a text. The built-in worker has a span of its own for them, so they would count twice.
    /// </summary>
    private static void AddGeneration(Activity span, ForwardState state)
    {
        if (!state.CountsTokens || state.Template.IsBuiltIn) return;
        span.SetTag(SpanNames.GenAiOperation, OperationOf(state.Target)).SetTag(SpanNames.GenAiModel, state.Model);
        if ((state.Usage ?? state.Scanner?.FindUsage()) is { } usage)
            span.SetTag(SpanNames.GenAiInput, usage.Prompt).SetTag(SpanNames.GenAiOutput, usage.Generated);
        if (state.Times().FirstToken is { } first) span.SetTag(SpanNames.GenAiFirst, first.TotalSeconds);
    }

    private static string OperationOf(string target)
    {
        var path = target.AsSpan();
        if (path.IndexOf('?') is var query and >= 0) path = path[..query];
        return path.EndsWith("/chat/completions") ? "chat"
            : path.EndsWith("/embeddings") ? "embeddings" : "text_completion";
    }
}
