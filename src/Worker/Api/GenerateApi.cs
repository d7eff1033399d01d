using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Configuration;
using Sluice.Worker.Generation;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.Requests;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;
using Sluice.Worker.Tensors;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// Implements Triton's generate extension. For a text generation model, it returns one response, or one server-sent
/// event for each token as soon as the token is generated. For any other model, it runs an inference whose inputs and
/// outputs are keys of the JSON object.
/// </summary>
internal sealed class GenerateApi(
    ModelHost host,
    WorkerSettings settings,
    WorkerLog log,
    Tracer tracer,
    InferencePipeline inferences,
    LoadReport load,
    UsageReports usage)
{
    /// <summary>Number of generated tokens: a header, or a trailer if the response is a stream.</summary>
    public const string TokensHeader = "X-Sluice-Tokens";

    /// <summary>Trace point at which the first token is available.</summary>
    private const string FirstToken = "COMPUTE_OUTPUT_START";

    public void Map(Router routes)
    {
        foreach (var prefix in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            routes.MapPost(prefix + "/generate", GenerateAsync);
            routes.MapPost(prefix + "/generate_stream", StreamAsync);
        }
    }

    /// <summary>Generates the whole text and returns it in one response body.</summary>
    public async Task<GenerateBody> RunAsync(HttpContext context, LoadedModel model, GenerationRequest request)
    {
        using var hold = model.AcquireReference();
        using var trace = StartTrace(model, request);
        using var report = usage.Start(context);
        using var span = GenerationSpan.Start(context, model.Name);
        var tally = new GenerationTally();
        request = request with { Tally = tally };
        var count = new GenerationCount(model.Statistics);
        var started = Stopwatch.GetTimestamp();
        try
        {
            var body = await GenerateWholeAsync(context, model, request, trace, count, span);
            SetTiming(context, started);
            load.SetHeader(context);
            context.Response.Headers[TokensHeader] = $"{count.Tokens}";
            report.Usage = tally.Usage;
            report.SetHeader(context);
            count.RecordSent();
            count.RecordSuccess();
            return body;
        }
        catch (Exception e)
        {
            report.Usage = tally.Usage;
            report.SetHeader(context);
            count.RecordFailure(IsGone(context, e));
            span?.Fail(e);
            throw;
        }
        finally
        {
            span?.AddText(tally);
            span?.SetUsage(tally.Usage);
        }
    }

    private static async Task<GenerateBody> GenerateWholeAsync(
        HttpContext context,
        LoadedModel model,
        GenerationRequest request,
        RequestTrace? trace,
        GenerationCount count,
        GenerationSpan? span)
    {
        var text = new StringBuilder();
        var tokens = new List<GeneratedToken>();
        var last = default(GeneratedPiece);
        await foreach (var piece in ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted))
        {
            if (text.Length == 0 && count.Tokens == 0) trace?.Reached(FirstToken);
            span?.OnToken();
            count.RecordTokens(piece.Tokens);
            text.Append(piece.Text);
            if (piece.Token is { } token) tokens.Add(token);
            last = piece;
        }

        trace?.Reached("COMPUTE_END");
        return WholeBody(model, request, last, text, tokens);
    }

    private async Task GenerateAsync(HttpContext context)
    {
        var model = FindModel(context);
        if (model.Generator is null)
        {
            await inferences.RunAsync(context, model, GenerateInputsReader.Read, GenerateOutputs.WriteAsync);
            return;
        }

        var request = await ReadAsync(context, model);
        await JsonResponses.JsonAsync(context, await RunAsync(context, model, request),
            WorkerJson.Default.GenerateBody);
    }

    private async Task StreamAsync(HttpContext context)
    {
        var model = FindModel(context);
        if (model.Generator is null)
        {
            await inferences.RunAsync(context, model, GenerateInputsReader.Read, GenerateOutputs.StreamAsync);
            return;
        }

        var request = await ReadAsync(context, model);
        await StreamAsync(context, model, request, whole: false);
    }

    /// <summary>
    /// Streams one event for each token. An error after the start of the stream is sent as an event: named <c>error</c>
    /// if <paramref name="whole"/> is true, else unnamed, as Triton's clients expect.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="model">A text generation model.</param>
    /// <param name="request">The parsed request.</param>
    /// <param name="whole">Whether a final event <c>output</c> with the whole text is sent.</param>
    public async Task StreamAsync(HttpContext context, LoadedModel model, GenerationRequest request, bool whole)
    {
        using var hold = model.AcquireReference();
        using var trace = StartTrace(model, request);
        using var report = usage.Start(context);
        using var span = GenerationSpan.Start(context, model.Name);
        var tally = new GenerationTally();
        var count = new GenerationCount(model.Statistics);
        try
        {
            await SendAsync(context, model, request with { Tally = tally }, trace, count, whole, report, span);
            report.Usage = tally.Usage;
            count.RecordSuccess();
        }
        catch (Exception e)
        {
            report.Usage = tally.Usage;
            report.SetHeader(context);
            span?.Fail(e);
            var gone = IsGone(context, e);
            count.RecordFailure(gone);
            if (gone)
                log.Info(
                    nameof(GenerateApi),
                    $"Generation by model {model.Name} stopped after {count.Tokens} tokens: the client is gone",
                    RequestIds.Find(context));
            if (gone || !context.Response.HasStarted) throw;
            var error = JsonSerializer.SerializeToUtf8Bytes(new ErrorBody(e.Message), WorkerJson.Default.ErrorBody);
            await SendEventAsync(context, whole ? "error" : null, error);
        }
        finally
        {
            span?.AddText(tally);
            span?.SetUsage(tally.Usage);
        }

        if (context.Response.SupportsTrailers()) context.Response.AppendTrailer(TokensHeader, $"{count.Tokens}");
        report.AppendTrailer(context);
    }

    private async Task SendAsync(
        HttpContext context,
        LoadedModel model,
        GenerationRequest request,
        RequestTrace? trace,
        GenerationCount count,
        bool whole,
        UsageReport report,
        GenerationSpan? span)
    {
        var started = Stopwatch.GetTimestamp();
        var text = new StringBuilder();
        var tokens = new List<GeneratedToken>();
        var last = default(GeneratedPiece);
        await foreach (var piece in ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted))
        {
            span?.OnToken();
            // The response starts with the first token, so that an earlier error still has its own status code.
            if (count.Responses == 0)
            {
                trace?.Reached(FirstToken);
                SetTiming(context, started);
                load.SetHeader(context);
                SetEventStreamHeaders(context);
                context.Response.DeclareTrailer(TokensHeader);
                report.Usage = new GenerationUsage(request.Prompt?.Count ?? 0, piece.CachedTokens, piece.Tokens);
                report.SetHeader(context);
                report.DeclareTrailer(context);
            }

            count.RecordTokens(piece.Tokens);
            last = piece;
            text.Append(piece.Text);
            if (piece.Token is { } token && whole) tokens.Add(token);
            var body = Body(model, request, piece);
            await SendEventAsync(
                context,
                null,
                JsonSerializer.SerializeToUtf8Bytes(body, WorkerJson.Default.GenerateBody));
            count.RecordSent();
        }

        trace?.Reached("COMPUTE_END");
        if (whole)
            await SendEventAsync(context, "output", JsonSerializer.SerializeToUtf8Bytes(
                WholeBody(model, request, last, text, tokens), WorkerJson.Default.GenerateBody));
    }

    private static bool IsGone(HttpContext context, Exception e) =>
        e is OperationCanceledException || context.RequestAborted.IsCancellationRequested;

    /// <summary>Returns the model that the path names. Rejects a compressed request body.</summary>
    private LoadedModel FindModel(HttpContext context)
    {
        var model = OpenInferenceApi.FindModel(context, host);
        var encoding = context.Request.Headers.ContentEncoding;
        return encoding.Count == 0 || encoding == "identity"
            ? model
            : throw new InvalidRequestException("Unsupported content-encoding, only 'identity' is supported.");
    }

    private async Task<GenerationRequest> ReadAsync(HttpContext context, LoadedModel model)
    {
        var generator = ModelHost.Generator(model);
        generator.CheckQueue();
        using var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        using var body = bytes.Parse();
        var request = GenerationRequest.Read(body.RootElement) with { Scope = ScopeOf(context) };
        return generator.Tokenize(request);
    }

    /// <summary>Returns the scope in which a request shares the key/value cache.</summary>
    public static string ScopeOf(HttpContext context) => context.Request.Headers[AdminOnly.FlowHeader].ToString();

    /// <summary>Sets the headers of a response that is a stream of server-sent events.</summary>
    public static void SetEventStreamHeaders(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
    }

    private RequestTrace? StartTrace(LoadedModel model, GenerationRequest request)
    {
        if (tracer.StartTrace(model.Name, model.Version) is not { } trace) return null;
        trace.RequestId = request.Id;
        trace.Reached("COMPUTE_START");
        return trace;
    }

    /// <summary>
    /// Creates the body of one event. <c>details</c> contains the finish reason, so only the last event has it. All
    /// other events contain their token in <c>token</c>.
    /// </summary>
    private static GenerateBody Body(LoadedModel model, GenerationRequest request, GeneratedPiece piece) => new(
        request.Id, model.Name, model.Version, piece.Text, piece.FinishReason,
        piece.FinishReason is null ? null : piece.Tokens,
        piece.FinishReason is null ? null : Encoding.UTF8.GetByteCount(request.Text),
        piece is { FinishReason: not null, Token: { } last } ? new GenerateDetails(piece.EndedBy, null, last) : null,
        piece.FinishReason is null ? piece.Token : null);

    private static GenerateBody WholeBody(
        LoadedModel model,
        GenerationRequest request,
        GeneratedPiece last,
        StringBuilder text,
        List<GeneratedToken> tokens) =>
        Body(model, request, last) with
        {
            TextOutput = text.ToString(),
            Details = request.Details ? new GenerateDetails(last.EndedBy, tokens, null) : null,
        };

    private static void SetTiming(HttpContext context, long started) =>
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");

    private static async Task SendEventAsync(HttpContext context, string? name, byte[] data)
    {
        var head = Encoding.UTF8.GetBytes(name is null ? "data: " : $"event: {name}\ndata: ");
        var writer = context.Response.BodyWriter;
        await writer.WriteAsync((byte[])[.. head, .. data, .. "\n\n"u8], context.RequestAborted);
        await writer.FlushAsync(context.RequestAborted);
    }
}
