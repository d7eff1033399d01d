using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Configuration;
using Sluice.Worker.Http;
using Sluice.Worker.Requests;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;
using Sluice.Worker.Tensors;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// Runs inference requests of all forms from the body to the response, through the model's batches. Traces, times and
/// counts each request.
/// </summary>
internal sealed class InferencePipeline(WorkerSettings settings, Tracer tracer, LoadReport load)
{
    /// <summary>Parses the body of a request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">The model that defines the inputs.</param>
    /// <param name="body">The body.</param>
    /// <param name="limit">Maximum size of the body and of the tensors that are created from it, in bytes.</param>
    public delegate InferRequest Reader(HttpContext context, LoadedModel model, RequestBody body, long limit);

    /// <summary>Writes the response.</summary>
    public delegate Task Writer(
        HttpContext context,
        LoadedModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs);

    /// <summary>Runs one request and writes its response.</summary>
    public async Task RunAsync(HttpContext context, LoadedModel model, Reader read, Writer write)
    {
        using var body = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        using var trace = tracer.StartTrace(model.Name, model.Version);
        var request = read(context, model, body, settings.MaxBodyBytes);
        if (trace is not null) trace.RequestId = request.Id;
        request.Span = WorkerSpans.Find(context);
        using var inference = await model.Scheduler.RunAsync(request, context.RequestAborted);
        InferenceSpans.Add(request.Span, inference, model.Name);
        trace?.AddRun(inference);
        var started = Stopwatch.GetTimestamp();
        SetTiming(context, inference);
        load.SetHeader(context);
        await write(context, model, request, InferResponse.Outputs(model, request, inference, settings.MaxOutputBytes));
        model.Statistics.RecordSuccess(inference, Stopwatch.GetElapsedTime(started));
        trace?.Reached("COMPUTE_END");
    }

    /// <summary>
    /// Sets the Server-Timing header: the durations of the stages in milliseconds, and the number of rows of the batch.
    /// </summary>
    public static void SetTiming(HttpContext context, Inference inference) =>
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"wait;dur={inference.Queue.TotalMilliseconds:0.###}, input;dur={inference.Input.TotalMilliseconds:0.###}, "
            + $"infer;dur={inference.Infer.TotalMilliseconds:0.###}, rows;desc={inference.BatchRows}");
}
