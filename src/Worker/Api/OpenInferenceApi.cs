using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Models;

namespace Sluice.Worker.Api;

/// <summary>The Open Inference Protocol over REST, with the binary tensor data extension.</summary>
internal sealed class OpenInferenceApi(ModelHost host, WorkerSettings settings, StartTimeline timeline)
{
    private static readonly string Version =
        typeof(OpenInferenceApi).Assembly.GetName().Version?.ToString(3) ?? "0";

    public void Map(Router routes)
    {
        routes.MapGet("/v2", c => Answers.JsonAsync(c,
            new ServerMetadata("sluice-worker", Version, ["binary_tensor_data", "parameters", "generate"]),
            WorkerJson.Default.ServerMetadata));
        routes.MapGet("/v2/health/live", c => Answers.JsonAsync(c, new LiveBody(true), WorkerJson.Default.LiveBody));
        routes.MapGet("/v2/health/ready", ReadyAsync);
        routes.MapGet("/v2/models", c => Answers.JsonAsync(c, new ModelList(host.Repository.Names), WorkerJson.Default.ModelList));
        foreach (var prefix in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            routes.MapGet(prefix, MetadataAsync);
            routes.MapGet(prefix + "/ready", ModelReadyAsync);
            routes.MapPost(prefix + "/infer", InferAsync);
        }
    }

    /// <summary>The model that the path names; 503 while models are loading, 404 when there is none.</summary>
    public static LoadedModel Model(HttpContext context, ModelHost host)
    {
        if (!host.Ready && host.Repository.Names.Count == 0)
            throw new Runtime.InvalidRequestException("models are still loading", 503);
        return host.Repository.Find((string)context.Request.RouteValues["model"]!,
            (string?)context.Request.RouteValues["version"]);
    }

    private Task ReadyAsync(HttpContext context)
    {
        var ready = host.Ready;
        if (ready) context.Response.Headers["Server-Timing"] = timeline.ServerTiming();
        else context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return Answers.JsonAsync(context, new ReadyBody(ready), WorkerJson.Default.ReadyBody);
    }

    private Task ModelReadyAsync(HttpContext context)
    {
        var model = Model(context, host);
        if (!host.Ready) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return Answers.JsonAsync(context, new ModelReadyBody(model.Name, host.Ready), WorkerJson.Default.ModelReadyBody);
    }

    private Task MetadataAsync(HttpContext context)
    {
        var model = Model(context, host);
        return Answers.JsonAsync(context, new ModelMetadata(model.Name, [.. host.Repository.Versions(model.Name)],
            "onnxruntime_onnx", Describe(model.Inputs), Describe(model.Outputs)), WorkerJson.Default.ModelMetadata);
    }

    private async Task InferAsync(HttpContext context)
    {
        var model = Model(context, host);
        var body = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        InferRequest request;
        try
        {
            var json = RequestBody.JsonLength(context, body.Length);
            request = json == 0 && body.Length > 0 ? InferRequestReader.ReadRaw(model, body)
                : InferRequestReader.Read(model, body.Slice(0, json), body.Slice(json));
        }
        finally
        {
            context.Request.BodyReader.AdvanceTo(body.End);
        }

        using (request)
        {
            var wanted = InferResponse.Wanted(model, request);
            using var results = await RunAsync(context, model, request, wanted);
            await InferResponse.WriteAsync(context, model, request, wanted, results.Values);
        }
    }

    /// <summary>Runs a request, and says how long that took.</summary>
    public async Task<RunResult> RunAsync(HttpContext context, LoadedModel model, InferRequest request,
        IReadOnlyList<(TensorSpec Spec, bool Binary)> wanted)
    {
        var started = Stopwatch.GetTimestamp();
        string[] names = [.. wanted.Select(w => w.Spec.Name)];
        var results = await host.Lanes.RunAsync(
            o => model.Session.Run(o, request.Inputs.Keys, request.Inputs.Values, names), context.RequestAborted);
        WorkerMetrics.Inferred(model.Name, Stopwatch.GetElapsedTime(started));
        context.Response.Headers["Server-Timing"] = string.Create(CultureInfo.InvariantCulture,
            $"infer;dur={Stopwatch.GetElapsedTime(started).TotalMilliseconds:0.###}");
        return new RunResult(results);
    }

    private static TensorMetadata[] Describe(IEnumerable<TensorSpec> specs) =>
        [.. specs.Select(s => new TensorMetadata(s.Name, s.Type.Name, s.Shape))];
}

/// <summary>A run's output tensors.</summary>
internal sealed class RunResult(Microsoft.ML.OnnxRuntime.IDisposableReadOnlyCollection<Microsoft.ML.OnnxRuntime.OrtValue> values)
    : IDisposable
{
    public IReadOnlyList<Microsoft.ML.OnnxRuntime.OrtValue> Values => values;

    public void Dispose() => values.Dispose();
}
