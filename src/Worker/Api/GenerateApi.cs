using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Generation;
using Sluice.Worker.Logging;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// Triton's generate extension. Of a model that makes text: one answer, or one server-sent event a token, sent as it is made. Of another: an inference
/// whose inputs and outputs are keys.
/// </summary>
internal sealed class GenerateApi(ModelHost host, WorkerSettings settings, WorkerLog log, Tracer tracer, Inferences inferences, LoadReport load)
{
    /// <summary>How many tokens an answer has: a header, and a trailer where the answer streams.</summary>
    public const string TokensHeader = "X-Sluice-Tokens";

    /// <summary>Of a trace: what is answered begins to be there.</summary>
    private const string FirstToken = "COMPUTE_OUTPUT_START";

    public void Map(Router routes)
    {
        foreach (var prefix in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            routes.MapPost(prefix + "/generate", GenerateAsync);
            routes.MapPost(prefix + "/generate_stream", StreamAsync);
        }
    }

    /// <summary>The whole text.</summary>
    public async Task<GenerateBody> RunAsync(HttpContext context, LoadedModel model, GenerationRequest request)
    {
        using var hold = model.Hold();
        using var trace = Begin(model, request);
        var count = new GenerationCount(model.Statistics);
        var started = Stopwatch.GetTimestamp();
        try
        {
            var body = await WholeAsync(context, model, request, trace, count);
            SetTiming(context, started);
            load.Tell(context);
            context.Response.Headers[TokensHeader] = $"{count.Tokens}";
            count.Sent();
            count.Done();
            return body;
        }
        catch (Exception e)
        {
            count.Failed(IsGone(context, e));
            throw;
        }
    }

    private static async Task<GenerateBody> WholeAsync(HttpContext context, LoadedModel model, GenerationRequest request, RequestTrace? trace, GenerationCount count)
    {
        var text = new StringBuilder();
        var tokens = new List<GeneratedToken>();
        var last = default(GeneratedPiece);
        await foreach (var piece in ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted))
        {
            if (text.Length == 0 && count.Tokens == 0) trace?.Reached(FirstToken);
            count.Made(piece.Tokens);
            text.Append(piece.Text);
            if (piece.Token is { } token) tokens.Add(token);
            last = piece;
        }

        trace?.Reached("COMPUTE_END");
        return Whole(model, request, last, text, tokens);
    }

    private async Task GenerateAsync(HttpContext context)
    {
        var model = Asked(context);
        if (model.Generator is null)
        {
            await inferences.AnswerAsync(context, model, GenerateInputsReader.Read, GenerateOutputs.WriteAsync);
            return;
        }

        var request = await ReadAsync(context, model);
        await Answers.JsonAsync(context, await RunAsync(context, model, request), WorkerJson.Default.GenerateBody);
    }

    private async Task StreamAsync(HttpContext context)
    {
        var model = Asked(context);
        if (model.Generator is null)
        {
            await inferences.AnswerAsync(context, model, GenerateInputsReader.Read, GenerateOutputs.StreamAsync);
            return;
        }

        var request = await ReadAsync(context, model);
        await StreamAsync(context, model, request, whole: false);
    }

    /// <summary>An event a token; at the end, where <paramref name="whole"/> says so, an event <c>output</c> with the whole text. What goes wrong once it
    /// has begun is an event too: then <c>error</c>, else, as Triton's clients know it, one like the others.</summary>
    public async Task StreamAsync(HttpContext context, LoadedModel model, GenerationRequest request, bool whole)
    {
        using var hold = model.Hold();
        using var trace = Begin(model, request);
        var count = new GenerationCount(model.Statistics);
        try
        {
            await SendAsync(context, model, request, trace, count, whole);
            count.Done();
        }
        catch (Exception e)
        {
            var gone = IsGone(context, e);
            count.Failed(gone);
            if (gone) log.Info(nameof(GenerateApi), $"generation by {model.Name} stopped after {count.Tokens} tokens: the client is gone");
            if (gone || !context.Response.HasStarted) throw;
            await EventAsync(context, whole ? "error" : null, JsonSerializer.SerializeToUtf8Bytes(new ErrorBody(e.Message), WorkerJson.Default.ErrorBody));
        }

        if (context.Response.SupportsTrailers()) context.Response.AppendTrailer(TokensHeader, $"{count.Tokens}");
    }

    private async Task SendAsync(HttpContext context, LoadedModel model, GenerationRequest request, RequestTrace? trace, GenerationCount count, bool whole)
    {
        var started = Stopwatch.GetTimestamp();
        var text = new StringBuilder();
        var tokens = new List<GeneratedToken>();
        var last = default(GeneratedPiece);
        await foreach (var piece in ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted))
        {
            // Until the first token is there, what goes wrong has a status of its own.
            if (count.Responses == 0)
            {
                trace?.Reached(FirstToken);
                SetTiming(context, started);
                load.Tell(context);
                BeginEvents(context);
                context.Response.DeclareTrailer(TokensHeader);
            }

            count.Made(piece.Tokens);
            last = piece;
            text.Append(piece.Text);
            if (piece.Token is { } token && whole) tokens.Add(token);
            await EventAsync(context, null, JsonSerializer.SerializeToUtf8Bytes(Body(model, request, piece), WorkerJson.Default.GenerateBody));
            count.Sent();
        }

        trace?.Reached("COMPUTE_END");
        if (whole)
            await EventAsync(context, "output", JsonSerializer.SerializeToUtf8Bytes(
                Whole(model, request, last, text, tokens), WorkerJson.Default.GenerateBody));
    }

    private static bool IsGone(HttpContext context, Exception e) => e is OperationCanceledException || context.RequestAborted.IsCancellationRequested;

    /// <summary>The model that is asked, by a request that is not compressed.</summary>
    private LoadedModel Asked(HttpContext context)
    {
        var model = OpenInferenceApi.Model(context, host);
        return context.Request.Headers.ContentEncoding.Count == 0 || context.Request.Headers.ContentEncoding == "identity" ? model
            : throw new InvalidRequestException("Unsupported content-encoding, only 'identity' is supported.");
    }

    private async Task<GenerationRequest> ReadAsync(HttpContext context, LoadedModel model)
    {
        var generator = ModelHost.Generator(model);
        using var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        using var body = bytes.Parse();
        var request = GenerationRequest.Read(body.RootElement);
        generator.Check(request);
        return request;
    }

    /// <summary>Server-sent events follow.</summary>
    public static void BeginEvents(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
    }

    private RequestTrace? Begin(LoadedModel model, GenerationRequest request)
    {
        if (tracer.Begin(model.Name, model.Version) is not { } trace) return null;
        trace.RequestId = request.Id;
        trace.Reached("COMPUTE_START");
        return trace;
    }

    /// <summary>One event. <c>details</c> must say how the text ended: only the last event can have them, others have their token by itself.</summary>
    private static GenerateBody Body(LoadedModel model, GenerationRequest request, GeneratedPiece piece) => new(
        request.Id, model.Name, model.Version, piece.Text, piece.FinishReason,
        piece.FinishReason is null ? null : piece.Tokens,
        piece.FinishReason is null ? null : Encoding.UTF8.GetByteCount(request.Text),
        piece is { FinishReason: not null, Token: { } last } ? new GenerateDetails(piece.EndedBy, null, last) : null,
        piece.FinishReason is null ? piece.Token : null);

    private static GenerateBody Whole(LoadedModel model, GenerationRequest request, GeneratedPiece last, StringBuilder text, List<GeneratedToken> tokens) =>
        Body(model, request, last) with
        {
            TextOutput = text.ToString(),
            Details = request.Details ? new GenerateDetails(last.EndedBy, tokens, null) : null,
        };

    private static void SetTiming(HttpContext context, long started) =>
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");

    private static async Task EventAsync(HttpContext context, string? name, byte[] data)
    {
        var head = Encoding.UTF8.GetBytes(name is null ? "data: " : $"event: {name}\ndata: ");
        var writer = context.Response.BodyWriter;
        await writer.WriteAsync((byte[])[.. head, .. data, .. "\n\n"u8], context.RequestAborted);
        await writer.FlushAsync(context.RequestAborted);
    }
}
