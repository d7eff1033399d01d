using System.Diagnostics;
using System.Net.Http.Headers;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// The context of a span as text (W3C Trace Context): the headers <c>traceparent</c> and <c>tracestate</c>, and the
/// form in which a job stores both, <c>traceparent tracestate</c>.
/// </summary>
internal static class TraceText
{
    public const string ParentHeader = "traceparent";
    public const string StateHeader = "tracestate";

    /// <summary>
    /// The most characters of a <c>tracestate</c> that every system must pass on; a longer one is dropped.
    /// </summary>
    private const int MaxState = 512;

    /// <summary>Reads the headers of a client. False: there is no valid <c>traceparent</c>.</summary>
    public static bool TryRead(IHeaderDictionary headers, out ActivityContext context)
    {
        context = default;
        if (headers.TraceParent is not [{ Length: > 0 } parent]) return false;
        var state = headers.TraceState.ToString();
        return TryParse(parent, IsState(state) ? state : null, out context);
    }

    /// <summary>Returns the <c>traceparent</c> of a span.</summary>
    public static string Parent(ActivityContext context) =>
        $"00-{context.TraceId}-{context.SpanId}-{(IsSampled(context) ? "01" : "00")}";

    /// <summary>Whether the span is recorded.</summary>
    public static bool IsSampled(ActivityContext context) => context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded);

    /// <summary>Sets the headers of a request, so that its receiver continues the trace.</summary>
    public static void Write(HttpRequestHeaders headers, ActivityContext context)
    {
        headers.Remove(ParentHeader);
        headers.Remove(StateHeader);
        headers.TryAddWithoutValidation(ParentHeader, Parent(context));
        if (context.TraceState is { Length: > 0 } state) headers.TryAddWithoutValidation(StateHeader, state);
    }

    /// <summary>Returns the text that a job stores.</summary>
    public static string Format(ActivityContext context) =>
        context.TraceState is { Length: > 0 } state ? $"{Parent(context)} {state}" : Parent(context);

    /// <summary>Reads the text that a job stores. False: there is none.</summary>
    public static bool TryParse(string? text, out ActivityContext context)
    {
        context = default;
        if (text is null) return false;
        var parts = text.Split(' ', 2);
        return TryParse(parts[0], parts.Length > 1 ? parts[1] : null, out context);
    }

    private static bool TryParse(string parent, string? state, out ActivityContext context) =>
        ActivityContext.TryParse(parent, state, isRemote: true, out context);

    private static bool IsState(string state) =>
        state.Length is > 0 and <= MaxState && state.All(c => c is >= ' ' and <= '~');
}
