using Microsoft.AspNetCore.Http;
using Sluice.Worker.Configuration;
using Sluice.Worker.Devices;
using Sluice.Worker.Http;
using Sluice.Worker.Requests;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Api;

/// <summary>Implements the Open Inference Protocol over REST, with the binary tensor data extension.</summary>
internal sealed class OpenInferenceApi(
    ModelHost host, StartTimeline timeline, InferencePipeline inferences, DeviceReporter? devices)
{
    private static readonly string Version =
        typeof(OpenInferenceApi).Assembly.GetName().Version?.ToString(3) ?? "0";

    /// <summary>The supported extensions of Triton. Clients check this list before they use an extension.</summary>
    private static readonly string[] Extensions =
    [
        "classification", "model_repository", "schedule_policy", "model_configuration", "binary_tensor_data",
        "parameters", "statistics", "trace", "logging", "generate",
    ];

    public void Map(Router routes)
    {
        routes.MapGet("/v2", c => JsonResponses.JsonAsync(
            c,
            new ServerMetadata("sluice-worker", Version, Extensions),
            WorkerJson.Default.ServerMetadata));
        routes.MapGet("/v2/health/live",
            c => JsonResponses.JsonAsync(c, new LiveBody(true), WorkerJson.Default.LiveBody));
        routes.MapGet("/v2/health/ready", ReadyAsync);
        routes.MapGet("/v2/models", c => JsonResponses.JsonAsync(
            c,
            new ModelList(host.Repository.Names),
            WorkerJson.Default.ModelList));
        foreach (var prefix in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            routes.MapGet(prefix, MetadataAsync);
            routes.MapGet(prefix + "/ready", ModelReadyAsync);
            routes.MapPost(prefix + "/infer", InferAsync);
        }
    }

    /// <summary>Returns the model that the path names.</summary>
    /// <exception cref="InvalidRequestException">
    /// 503: models are still loading. 404: the model does not exist.
    /// </exception>
    public static LoadedModel FindModel(HttpContext context, ModelHost host)
    {
        if (!host.Ready && host.Repository.Names.Count == 0)
            throw new InvalidRequestException("Models are still loading. Retry later.", 503);
        return host.Repository.Find((string)context.Request.RouteValues["model"]!,
            (string?)context.Request.RouteValues["version"]);
    }

    private Task ReadyAsync(HttpContext context)
    {
        var ready = host.Ready && devices?.IsComplete != false;
        if (ready)
        {
            context.Response.Headers["Server-Timing"] = timeline.ServerTiming();
            if (CacheCapacity.Describe(host.Repository.All) is { } capacity)
                context.Response.Headers[CacheCapacity.Header] = capacity;
            if (devices is not null) context.Response.Headers[DeviceReporter.Header] = devices.Value;
        }
        else
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        }

        var skipped = host.Providers.Skipped;
        var body = ready
            ? new ReadyBody(true, host.Providers.First, skipped.Count > 0 ? skipped : null, GenerationLoads())
            : new ReadyBody(false);
        return JsonResponses.JsonAsync(context, body, WorkerJson.Default.ReadyBody);
    }

    /// <summary>
    /// Returns the load of the models that generate text. Of several versions of a model, the newest one counts, which
    /// requests without a version use.
    /// </summary>
    private Dictionary<string, GenerationLoad>? GenerationLoads()
    {
        var loads = new Dictionary<string, GenerationLoad>();
        foreach (var model in host.Repository.All)
            if (model.Generator is { } generator) loads.TryAdd(model.Name, GenerationLoad.Read(generator));
        return loads.Count > 0 ? loads : null;
    }

    private Task ModelReadyAsync(HttpContext context)
    {
        var model = FindModel(context, host);
        if (!host.Ready) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return JsonResponses.JsonAsync(
            context,
            new ModelReadyBody(model.Name, host.Ready, model.Session.Placement?.ToString()),
            WorkerJson.Default.ModelReadyBody);
    }

    private Task MetadataAsync(HttpContext context)
    {
        var model = FindModel(context, host);
        var metadata = new ModelMetadata(
            model.Name,
            [.. host.Repository.Versions(model.Name)],
            "onnxruntime_onnx",
            Describe(model.Inputs),
            Describe(model.Outputs),
            model.Session.Placement?.ToString());
        return JsonResponses.JsonAsync(context, metadata, WorkerJson.Default.ModelMetadata);
    }

    private Task InferAsync(HttpContext context) =>
        inferences.RunAsync(context, FindModel(context, host), ReadInfer, InferResponse.WriteAsync);

    private static InferRequest ReadInfer(HttpContext context, LoadedModel model, RequestBody body, long limit)
    {
        var (json, binary) = body.Split(context);
        var raw = json.IsEmpty && context.Request.Headers.ContainsKey(RequestBody.LengthHeader);
        return raw ? RawRequestReader.Read(model, binary) : InferRequestReader.Read(model, json, binary);
    }

    private static TensorMetadata[] Describe(IEnumerable<TensorSpec> specs) =>
        [.. specs.Select(s => new TensorMetadata(s.Name, s.Type.Name, s.Shape))];
}
