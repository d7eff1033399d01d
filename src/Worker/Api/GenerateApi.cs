using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
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
internal sealed class GenerateApi(ModelHost host, WorkerSettings settings, WorkerLog log, Tracer tracer, Inferences inferences)
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
        var text = new StringBuilder();
        var last = default(GeneratedPiece);
        var started = Stopwatch.GetTimestamp();
        await foreach (var piece in ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted))
        {
            if (last.Tokens == 0) trace?.Reached(FirstToken);
            model.Statistics.Token();
            text.Append(piece.Text);
            last = piece;
        }

        trace?.Reached("COMPUTE_END");
        SetTiming(context, started);
        context.Response.Headers[TokensHeader] = last.Tokens.ToString(CultureInfo.InvariantCulture);
        return Body(model, request, last) with { TextOutput = text.ToString() };
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

    /// <summary>An event a token; at the end, where <paramref name="whole"/> says so, an event <c>output</c> with the whole text.</summary>
    public async Task StreamAsync(HttpContext context, LoadedModel model, GenerationRequest request, bool whole)
    {
        using var hold = model.Hold();
        using var trace = Begin(model, request);
        var started = Stopwatch.GetTimestamp();
        var text = new StringBuilder();
        await using var pieces = ModelHost.Generator(model).GenerateAsync(request, context.RequestAborted)
            .GetAsyncEnumerator(context.RequestAborted);
        // Until the first token is there, what goes wrong has a status of its own.
        var more = await pieces.MoveNextAsync();
        trace?.Reached(FirstToken);
        SetTiming(context, started);
        BeginEvents(context);
        context.Response.DeclareTrailer(TokensHeader);
        var (tokens, last) = (0, default(GeneratedPiece));
        try
        {
            for (; more; more = await pieces.MoveNextAsync())
            {
                model.Statistics.Token();
                last = pieces.Current;
                tokens = last.Tokens;
                text.Append(last.Text);
                await EventAsync(context, null, JsonSerializer.SerializeToUtf8Bytes(
                    Body(model, request, last), WorkerJson.Default.GenerateBody));
            }

            trace?.Reached("COMPUTE_END");
            if (whole)
                await EventAsync(context, "output"u8.ToArray(), JsonSerializer.SerializeToUtf8Bytes(
                    Body(model, request, last) with { TextOutput = text.ToString() }, WorkerJson.Default.GenerateBody));
        }
        catch (OperationCanceledException)
        {
            log.Info(nameof(GenerateApi), $"generation by {model.Name} stopped after {tokens} tokens: the client is gone");
            throw;
        }
        catch (Exception e)
        {
            await EventAsync(context, "error"u8.ToArray(), JsonSerializer.SerializeToUtf8Bytes(
                new ErrorBody(e.Message), WorkerJson.Default.ErrorBody));
        }

        if (context.Response.SupportsTrailers())
            context.Response.AppendTrailer(TokensHeader, tokens.ToString(CultureInfo.InvariantCulture));
    }

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

    private static GenerateBody Body(LoadedModel model, GenerationRequest request, GeneratedPiece piece) => new(
        request.Id, model.Name, model.Version, piece.Text, piece.FinishReason,
        piece.FinishReason is null ? null : piece.Tokens,
        piece.FinishReason is null ? null : Encoding.UTF8.GetByteCount(request.Text));

    private static void SetTiming(HttpContext context, long started) =>
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");

    private static async Task EventAsync(HttpContext context, byte[]? name, byte[] data)
    {
        var writer = context.Response.BodyWriter;
        if (name is not null)
        {
            await writer.WriteAsync("event: "u8.ToArray());
            await writer.WriteAsync(name);
            await writer.WriteAsync("\n"u8.ToArray());
        }

        var line = new byte[data.Length + 8];
        "data: "u8.CopyTo(line);
        data.CopyTo(line, 6);
        "\n\n"u8.CopyTo(line.AsSpan(data.Length + 6));
        await writer.WriteAsync(line, context.RequestAborted);
        await writer.FlushAsync(context.RequestAborted);
    }
}
