using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Api;
using Sluice.Worker.Configuration;
using Sluice.Worker.Generation;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// Generates the texts of a request of the OpenAI API, and sends them as one response or as a stream.
/// </summary>
internal sealed class TextApi(
    ModelHost host,
    WorkerSettings settings,
    TimeProvider time,
    WorkerLog log,
    LoadReport load,
    UsageReports usage)
{
    /// <summary>Handles a request. Errors before the first token have their own status.</summary>
    /// <param name="context">The request.</param>
    /// <param name="read">Reads the request for a model that generates text, and returns what to generate.</param>
    public async Task HandleAsync(
        HttpContext context,
        Func<RequestFields, LoadedModel, string, StreamOrigin, TextRequest> read)
    {
        using var report = usage.Start(context);
        try
        {
            LoadedModel model;
            TextRequest request;
            var resume = context.Request.Headers[Continuation.Header].ToString();
            var continues = resume.Length > 1;
            var origin = StreamOrigin.Create(time);
            // The body is not needed any more when the request waits.
            using (var bytes = await RequestBody.ReadAsync(
                context, settings.MaxBodyBytes + (continues ? Continuation.MaxMarksBytes : 0)))
            {
                var marks = continues ? ReadMarksLength(context, bytes.Length) : 0;
                var earlier = continues ? Continuation.Read(resume, bytes.CopyStart(marks)) : null;
                using var body = bytes.Parse(marks);
                if (body.RootElement.ValueKind != JsonValueKind.Object)
                    throw new OpenAiException("The request must be a JSON object.");
                var fields = new RequestFields(body.RootElement);
                model = FindModel(host, fields.RequiredText("model"));
                var generator = model.Generator ?? throw new OpenAiException(
                    $"The model '{model.Name}' does not generate text.", "model", 400, "model_not_supported");
                generator.CheckQueue();
                origin = earlier?.Origin ?? origin;
                request = read(fields, model, GenerateApi.ScopeOf(context), origin);
                request = earlier?.Apply(request, generator.Fingerprint) ?? request;
            }

            using var hold = model.AcquireReference();
            foreach (var choice in request.Choices) model.Generator.CheckLength(choice.Request.Prompt!.Count);
            var announced = resume.Length > 0 && request.CanBeContinued
                ? origin.Announce(model.Generator.Fingerprint, request.Choices)
                : null;
            using var span = GenerationSpan.Start(context, model.Name);
            try
            {
                await RespondAsync(context, new ChoiceRuns(model, model.Generator), request, announced, report, span);
            }
            finally
            {
                foreach (var choice in request.Choices) span?.AddText(choice.Request.Tally!);
                span?.SetUsage(report.Usage);
            }
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
        {
            await SendErrorAsync(context, ErrorObject.From(e, log, RequestIds.Find(context)));
        }
    }

    /// <summary>Returns a model. Throws an error with status 404 if it is unknown.</summary>
    public static LoadedModel FindModel(ModelHost host, string name) => host.Repository.Names.Contains(name)
        ? host.Repository.Find(name, null)
        : throw new OpenAiException(
            $"The model '{name}' does not exist; expected one of {string.Join(", ", host.Repository.Names.Take(20))}.",
            "model", 404, "model_not_found");

    /// <summary>Sends an error as a response.</summary>
    public static async Task SendErrorAsync(HttpContext context, ErrorObject error)
    {
        context.Response.StatusCode = error.Status;
        JsonResponses.SetRetryAfter(context, error.RetryAfter);
        await JsonResponses.WriteAsync(context, error.Write);
        // A response that has started keeps its body.
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static int ReadMarksLength(HttpContext context, long bodyLength)
    {
        var text = context.Request.Headers[Continuation.MarksHeader].ToString();
        var most = Math.Min(bodyLength, Continuation.MaxMarksBytes);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) && length <= most
            ? length
            : throw new OpenAiException(
                $"The header {Continuation.MarksHeader} is '{text}'; expected a number of bytes from 0 to {most}.");
    }

    private async Task RespondAsync(
        HttpContext context, ChoiceRuns runs, TextRequest request, string? announced, UsageReport report,
        GenerationSpan? span)
    {
        var started = Stopwatch.GetTimestamp();
        using var events = new EventStream(context, isMarked: announced is not null);
        try
        {
            await foreach (var (choice, piece) in runs.RunAsync(request.Choices, context.RequestAborted))
            {
                if (!piece.IsEarlier) span?.OnToken();
                if (!request.Options.Stream) continue;
                request.Format.Write(events, choice, piece);
                // The client has them already. They were written for the state of the format.
                if (piece.IsEarlier) events.Discard();
                else
                {
                    StartStream(context, started, announced, request, report);
                    await events.SendAsync(
                        Continuation.Mark(choice.Index, piece.Id, piece.FinishReason is not null));
                }
            }
        }
        catch (Exception e)
        {
            report.Usage = request.Spent;
            report.SetHeader(context);
            span?.Fail(e);
            var gone = context.RequestAborted.IsCancellationRequested;
            if (gone) LogGone(context, request);
            if (gone || !context.Response.HasStarted) throw;
            // Another worker continues a stream whose end is missing. This worker stops, or the model is replaced.
            if (events.IsMarked && e is ObjectDisposedException)
            {
                context.Abort();
                return;
            }

            // The status is sent already, so the error is an event. Clients raise it.
            events.Discard();
            events.Write(ErrorObject.From(e, log, RequestIds.Find(context)).Write);
            await events.EndAsync();
            report.AppendTrailer(context);
            return;
        }

        report.Usage = request.Spent;
        if (request.Options.Stream)
        {
            // No piece is left of a stream whose choices have all ended at another worker.
            StartStream(context, started, announced, request, report);
            if (request.Options.IncludeUsage)
                events.Write(json => request.Format.WriteUsageEvent(json, request.Usage));
            await events.EndAsync();
            if (context.Response.SupportsTrailers())
                context.Response.AppendTrailer(GenerateApi.TokensHeader, $"{request.Usage.Completion}");
            report.AppendTrailer(context);
            return;
        }

        await WriteWholeAsync(context, started, request, report);
    }

    private async Task WriteWholeAsync(HttpContext context, long started, TextRequest request, UsageReport report)
    {
        SetHeaders(context, started);
        context.Response.Headers[GenerateApi.TokensHeader] = $"{request.Usage.Completion}";
        report.SetHeader(context);
        await JsonResponses.WriteAsync(
            context, json => request.Format.WriteWhole(json, request.Choices, request.Usage));
    }

    /// <summary>Sets the headers of a stream before its first event.</summary>
    private void StartStream(
        HttpContext context, long started, string? announced, TextRequest request, UsageReport report)
    {
        if (context.Response.HasStarted) return;
        SetHeaders(context, started);
        GenerateApi.SetEventStreamHeaders(context);
        if (announced is not null) context.Response.Headers[Continuation.Header] = announced;
        context.Response.DeclareTrailer(GenerateApi.TokensHeader);
        report.Usage = new GenerationUsage(request.Usage.Prompt, request.Usage.Cached, request.Usage.Completion);
        report.SetHeader(context);
        report.DeclareTrailer(context);
    }

    private void LogGone(HttpContext context, TextRequest request) => log.Info(
        nameof(TextApi),
        $"Generation by model {request.Options.Model} stopped after {request.Usage.Completion} tokens: "
            + "the client is gone",
        RequestIds.Find(context));

    private void SetHeaders(HttpContext context, long started)
    {
        load.SetHeader(context);
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");
    }
}
