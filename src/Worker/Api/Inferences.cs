using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Models;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>Requests that are run in batches, from the body to the answer and whatever their form: traced, timed, counted.</summary>
internal sealed class Inferences(WorkerSettings settings, Tracer tracer, LoadReport load)
{
    /// <param name="context">The request.</param>
    /// <param name="model">The model that it must fit.</param>
    /// <param name="body">Its body.</param>
    /// <param name="limit">Bytes of a body, and of what is made of it.</param>
    public delegate InferRequest Reader(HttpContext context, LoadedModel model, RequestBody body, long limit);

    public delegate Task Writer(HttpContext context, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs);

    public async Task AnswerAsync(HttpContext context, LoadedModel model, Reader read, Writer write)
    {
        using var body = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        using var trace = tracer.Begin(model.Name, model.Version);
        var request = read(context, model, body, settings.MaxBodyBytes);
        if (trace is not null) trace.RequestId = request.Id;
        using var inference = await model.Scheduler.RunAsync(request, context.RequestAborted);
        trace?.Ran(inference);
        var started = Stopwatch.GetTimestamp();
        Tell(context, inference);
        load.Tell(context);
        await write(context, model, request, InferResponse.Outputs(model, request, inference, settings.MaxOutputBytes));
        model.Statistics.Answered(inference, Stopwatch.GetElapsedTime(started));
        trace?.Reached("COMPUTE_END");
    }

    /// <summary>Says where an answer's time went, and how many rows ran with it.</summary>
    public static void Tell(HttpContext context, Inference inference) =>
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"wait;dur={inference.Queue.TotalMilliseconds:0.###}, input;dur={inference.Input.TotalMilliseconds:0.###}, "
            + $"infer;dur={inference.Infer.TotalMilliseconds:0.###}, rows;desc={inference.BatchRows}");
}
