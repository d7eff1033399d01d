using System.Text.Json.Serialization;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Health;
using Sluice.Gateway.Http;
using Sluice.Gateway.Relay;
using Sluice.Gateway.Selection;
using Sluice.Shared;
using Sluice.Storage.Queueing;

namespace Sluice.Gateway.OpenInference;

/// <summary>
/// The Open Inference Protocol (github.com/kserve/open-inference-protocol). The model name selects the endpoint.
/// Requests that need a worker are forwarded; other requests are handled here and start no worker.
/// </summary>
public static class OpenInferenceApi
{
    /// <summary>
    /// The supported Triton extensions. The repository extension is not listed because only its index is supported:
    /// declared endpoints determine the served models.
    /// </summary>
    private static readonly string[] Extensions =
        ["classification", "schedule_policy", "model_configuration", "binary_tensor_data", "parameters", "statistics",
            "generate"];

    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay, Readiness readiness,
        WorkerSlotStore slots, ModelVersions versions)
    {
        routes.MapRoute("GET", "/v2", AccessLevel.Nothing, "Get server metadata",
            () => new ServerMetadata("sluice", ProductVersion.Number, Extensions));
        routes.MapRoute("GET", "/v2/health/live", AccessLevel.Nothing, "Check that the gateway process runs",
            () => new Live(true));
        routes.MapRoute("GET", "/v2/health/ready", AccessLevel.Nothing, "Check that the gateway accepts requests",
            async (HttpContext context) =>
        {
            var why = await readiness.GetObstaclesAsync(context.RequestAborted);
            context.Response.StatusCode = why.Count == 0
                ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            return new Ready(why.Count == 0);
        });
        foreach (var version in new[] { "", "/versions/{version}" })
        {
            var model = "/v2/models/{model}" + version;
            routes.MapRoute("GET", model + "/ready", AccessLevel.Invoke,
                "Check that the model accepts requests; starts a worker only if the version is unknown without one",
                (HttpContext context) => ReadyAsync(context, relay, slots, versions)).Produces<ModelReady>();
            routes.MapRoute("GET", model, AccessLevel.Invoke, "Get model metadata from a worker", Forward)
                .WithMetadata(new GatewayExceptionHandler.Relayed());
            routes.MapRoute("GET", model + "/config", AccessLevel.Invoke,
                "Get the model configuration: batching, versions, placement", Forward)
                .WithMetadata(new GatewayExceptionHandler.Relayed());
            routes.MapRoute("GET", model + "/stats", AccessLevel.Invoke,
                "Get the statistics of one worker of the model: requests, rows, runs, times", Forward)
                .WithMetadata(new GatewayExceptionHandler.Relayed());
            Share(routes.MapRoute("POST", model + "/infer", AccessLevel.Invoke,
                "Run inference, with JSON or binary tensors", Forward));
            Share(routes.MapRoute("POST", model + "/generate", AccessLevel.Invoke,
                "Generate text, or return the outputs by name, in one response", Forward));
            Share(routes.MapRoute("POST", model + "/generate_stream", AccessLevel.Invoke,
                "Generate text, with one event per token; one event for other models", Forward));

            // A request that names a version is for the endpoint itself: a canary serves other versions.
            void Share(RouteHandlerBuilder route)
            {
                route.WithMetadata(new GatewayExceptionHandler.Relayed());
                if (version.Length == 0) route.WithMetadata(SharesWithCanaries.Instance);
            }
        }

        // The settings of the worker that handles the request. The gateway forwards whether the caller is an admin, and
        // the worker decides who may change settings.
        const string trace = "/v2/models/{model}/trace/setting";
        routes.MapRoute("GET", trace, AccessLevel.Invoke, "Get the trace settings of the model at one of its workers",
            Forward).WithMetadata(new GatewayExceptionHandler.Relayed());
        routes.MapRoute("POST", trace, AccessLevel.Invoke,
            "Change the trace settings; needs a key with the scope admin", Forward)
            .WithMetadata(new GatewayExceptionHandler.Relayed());

        Task Forward(HttpContext context) => relay.SendAsync(context, skip: 0);
    }

    /// <summary>
    /// Handles the readiness of a model. A model without workers is ready, because its first request starts a worker. A
    /// model whose workers cannot start is not ready.
    /// </summary>
    private static async Task ReadyAsync(HttpContext context, EndpointRelay relay, WorkerSlotStore slots,
        ModelVersions versions)
    {
        var admission = context.Admission();
        var endpoint = admission.Deployment!.Endpoint;
        var model = (string)context.Request.RouteValues["model"]!;
        if (await slots.WhyBlockedAsync(endpoint.Id, context.RequestAborted) is { } why)
        {
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
                why.ReasonFor(admission.Caller is null),
                why.RetryAfter(context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow()));
            return;
        }

        if (context.Request.RouteValues["version"] is string version)
        {
            // A ready worker handles the request. Without workers the repository decides; if the version is unknown
            // there, the request starts a worker.
            var known = await slots.FindWorkerAsync(endpoint.Id, context.RequestAborted) is null
                ? versions.Serves(admission.Deployment, model, version) : null;
            if (known is null)
            {
                await relay.SendAsync(context, skip: 0);
                return;
            }

            if (known is false)
            {
                await Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                    $"Request for unknown model: '{model}' version {version} is not found");
                return;
            }
        }

        await context.Response.WriteAsJsonAsync(new ModelReady(model, true), context.RequestAborted);
    }

    /// <summary>The response to <c>GET /v2</c>.</summary>
    public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

    /// <summary>The response to <c>/v2/health/live</c>.</summary>
    public sealed record Live([property: JsonPropertyName("live")] bool IsLive);

    /// <summary>The response to <c>/v2/health/ready</c>.</summary>
    public sealed record Ready([property: JsonPropertyName("ready")] bool IsReady);

    /// <summary>The response to the <c>ready</c> request of a model.</summary>
    public sealed record ModelReady(string Name, [property: JsonPropertyName("ready")] bool IsReady);
}
