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

namespace Sluice.Worker.OpenAi;

/// <summary>
/// Generates the texts of a request of the OpenAI API, and sends them as one response or as a stream.
/// </summary>
internal sealed class TextApi(ModelHost host, WorkerSettings settings, WorkerLog log, LoadReport load)
{
    /// <summary>Handles a request. Errors before the first token have their own status.</summary>
    /// <param name="context">The request.</param>
    /// <param name="read">Reads the request, and returns what to generate.</param>
    public async Task HandleAsync(
        HttpContext context,
        Func<RequestFields, LoadedModel, TextGenerator, string, TextRequest> read)
    {
        try
        {
            LoadedModel model;
            TextGenerator generator;
            TextRequest request;
            // The body is not needed any more when the request waits.
            using (var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes))
            {
                using var body = bytes.Parse();
                if (body.RootElement.ValueKind != JsonValueKind.Object)
                    throw new OpenAiException("The request must be a JSON object.");
                var fields = new RequestFields(body.RootElement);
                model = FindModel(host, fields.RequiredText("model"));
                generator = model.Generator ?? throw new OpenAiException(
                    $"The model '{model.Name}' does not generate text.", "model", 400, "model_not_supported");
                generator.CheckQueue();
                request = read(fields, model, generator, GenerateApi.ScopeOf(context));
            }

            using var hold = model.AcquireReference();
            foreach (var choice in request.Choices) generator.CheckLength(choice.Request.Prompt!.Count);
            await RespondAsync(context, new ChoiceRuns(model, generator), request);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
        {
            await SendErrorAsync(context, ErrorObject.From(e, log));
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

    private async Task RespondAsync(HttpContext context, ChoiceRuns runs, TextRequest request)
    {
        var started = Stopwatch.GetTimestamp();
        using var events = new EventStream(context);
        try
        {
            await foreach (var (choice, piece) in runs.RunAsync(request.Choices, context.RequestAborted))
            {
                if (!request.Options.Stream) continue;
                if (!context.Response.HasStarted)
                {
                    SetHeaders(context, started);
                    GenerateApi.SetEventStreamHeaders(context);
                    context.Response.DeclareTrailer(GenerateApi.TokensHeader);
                }

                await request.Format.SendAsync(events, choice, piece);
            }
        }
        catch (Exception e)
        {
            var gone = context.RequestAborted.IsCancellationRequested;
            if (gone) LogGone(request);
            if (gone || !context.Response.HasStarted) throw;
            // The status is sent already, so the error is an event. Clients raise it.
            await events.SendAsync(ErrorObject.From(e, log).Write);
            await events.EndAsync();
            return;
        }

        if (request.Options.Stream)
        {
            if (request.Options.IncludeUsage)
                await events.SendAsync(json => request.Format.WriteUsageEvent(json, request.Usage));
            await events.EndAsync();
            if (context.Response.SupportsTrailers())
                context.Response.AppendTrailer(GenerateApi.TokensHeader, $"{request.Usage.Completion}");
            return;
        }

        SetHeaders(context, started);
        context.Response.Headers[GenerateApi.TokensHeader] = $"{request.Usage.Completion}";
        await JsonResponses.WriteAsync(
            context, json => request.Format.WriteWhole(json, request.Choices, request.Usage));
    }

    private void LogGone(TextRequest request) => log.Info(
        nameof(TextApi),
        $"Generation by model {request.Options.Model} stopped after {request.Usage.Completion} tokens: "
            + "the client is gone");

    private void SetHeaders(HttpContext context, long started)
    {
        load.SetHeader(context);
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");
    }
}
