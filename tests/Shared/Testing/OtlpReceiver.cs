using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Google.Protobuf;
using Sluice.Testing.Otlp;

namespace Sluice.Testing;

/// <summary>A receiver of traces: an HTTP server that decodes OTLP in its form <c>http/protobuf</c>.</summary>
public sealed class OtlpReceiver : IDisposable
{
    private readonly HttpListener listener = new();
    private readonly ConcurrentQueue<TraceSpan> spans = [];
    private readonly ConcurrentQueue<byte[]> bodies = [];

    public OtlpReceiver()
    {
        // Another process may take the port between its search and the start.
        while (true)
        {
            Url = $"http://127.0.0.1:{FreePort.Find()}";
            listener.Prefixes.Clear();
            listener.Prefixes.Add(Url + "/");
            try
            {
                listener.Start();
                break;
            }
            catch (HttpListenerException)
            {
                // The next port.
            }
        }

        _ = ServeAsync();
    }

    public string Url { get; }

    /// <summary>Whether it refuses what it receives.</summary>
    public bool Refuses { get; set; }

    /// <summary>The spans so far.</summary>
    public IReadOnlyList<TraceSpan> Spans => [.. spans];

    /// <summary>Returns the environment of a program that exports to this receiver.</summary>
    /// <param name="more">More variables.</param>
    public Dictionary<string, string?> Environment(params (string Name, string Value)[] more)
    {
        var all = new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Url,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "50",
        };
        foreach (var (name, value) in more) all[name] = value;
        return all;
    }

    /// <summary>
    /// Waits until a trace is complete and has spans that meet a condition, and returns them. Programs send spans as
    /// they end, so a child can arrive before its parent.
    /// </summary>
    /// <param name="trace">The id of the trace.</param>
    /// <param name="holds">The condition.</param>
    public Task<IReadOnlyList<TraceSpan>> TraceAsync(string trace, Func<IReadOnlyList<TraceSpan>, bool> holds) =>
        SpansAsync(s => s.TraceId == trace, s => holds(s) && IsTree(s));

    /// <summary>Waits until the selected spans meet a condition, and returns them.</summary>
    public async Task<IReadOnlyList<TraceSpan>> SpansAsync(
        Func<TraceSpan, bool> selects, Func<IReadOnlyList<TraceSpan>, bool> holds) =>
        (await Eventually.BecomesAsync(
            () => Task.FromResult(new Selected([.. Spans.Where(selects)])), s => holds(s.Spans))).Spans;

    /// <summary>Whether any received message contains a text.</summary>
    public bool Contains(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return bodies.Any(b => b.AsSpan().IndexOf(bytes) >= 0);
    }

    public void Dispose() => listener.Abort();

    /// <summary>Whether at most one span is the parent of others and is not there: the one of the client.</summary>
    private static bool IsTree(IReadOnlyList<TraceSpan> spans) =>
        spans.Select(s => s.ParentId).Except(spans.Select(s => s.SpanId)).Count() <= 1;

    private async Task ServeAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await listener.GetContextAsync());
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        using var body = new MemoryStream();
        await context.Request.InputStream.CopyToAsync(body);
        if (Refuses)
        {
            context.Response.StatusCode = (int)HttpStatusCode.BadRequest;
            context.Response.Close();
            return;
        }

        bodies.Enqueue(body.ToArray());
        var request = ExportTraceServiceRequest.Parser.ParseFrom(body.ToArray());
        foreach (var resource in request.ResourceSpans)
            foreach (var span in resource.ScopeSpans.SelectMany(s => s.Spans))
                spans.Enqueue(Read(resource.Resource, span));
        context.Response.ContentType = "application/x-protobuf";
        context.Response.Close();
    }

    private static TraceSpan Read(Resource resource, Span span) => new(
        resource.Attributes.ToDictionary(a => a.Key, a => Text(a.Value)),
        Hex(span.TraceId),
        Hex(span.SpanId),
        Hex(span.ParentSpanId),
        span.Name,
        span.Attributes.ToDictionary(a => a.Key, a => Text(a.Value)))
    {
        State = span.TraceState,
        Start = span.StartTimeUnixNano,
        End = span.EndTimeUnixNano,
        IsError = span.Status?.Code == 2,
        Links = [.. span.Links.Select(l => (Hex(l.TraceId), Hex(l.SpanId)))],
    };

    private static string Hex(ByteString id) => Convert.ToHexStringLower(id.Span);

    private static string Text(AnyValue value) => value.ValueCase switch
    {
        AnyValue.ValueOneofCase.IntValue => value.IntValue.ToString(CultureInfo.InvariantCulture),
        AnyValue.ValueOneofCase.DoubleValue => value.DoubleValue.ToString(CultureInfo.InvariantCulture),
        AnyValue.ValueOneofCase.BoolValue => value.BoolValue ? "true" : "false",
        _ => value.StringValue,
    };

    private sealed record Selected(IReadOnlyList<TraceSpan> Spans)
    {
        public override string ToString() => string.Join(", ", Spans.Select(s => $"{s.Service} {s.Name}"));
    }
}

/// <summary>A received span.</summary>
/// <param name="Resource">The attributes of the program.</param>
/// <param name="TraceId">The id of the trace.</param>
/// <param name="SpanId">The id of the span.</param>
/// <param name="ParentId">The id of the parent; empty: it has none.</param>
/// <param name="Name">The name.</param>
/// <param name="Attributes">The attributes.</param>
public sealed record TraceSpan(
    IReadOnlyDictionary<string, string> Resource,
    string TraceId,
    string SpanId,
    string ParentId,
    string Name,
    IReadOnlyDictionary<string, string> Attributes)
{
    /// <summary>The name of the program.</summary>
    public string Service => Resource["service.name"];

    /// <summary>The <c>tracestate</c>.</summary>
    public string State { get; init; } = "";

    /// <summary>Unix time in nanoseconds.</summary>
    public ulong Start { get; init; }

    /// <summary>Unix time in nanoseconds.</summary>
    public ulong End { get; init; }

    /// <summary>Whether its status is Error.</summary>
    public bool IsError { get; init; }

    /// <summary>The spans that it links to.</summary>
    public IReadOnlyList<(string TraceId, string SpanId)> Links { get; init; } = [];
}
