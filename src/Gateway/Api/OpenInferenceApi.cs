using System.Reflection;
using System.Text.Json.Serialization;
using Sluice.Core.Dispatch;
using Sluice.Gateway.Auth;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Api;

/// <summary>
/// The Open Inference Protocol (github.com/kserve/open-inference-protocol). The model's name selects the endpoint that
/// serves it; what a worker must say is forwarded, what needs no worker is answered here and starts none.
/// </summary>
public static class OpenInferenceApi
{
    private static readonly string Version =
        typeof(OpenInferenceApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "";

    /// <summary>What of Triton's extensions is answered. The repository has an index only: an operator's endpoints say what is served.</summary>
    private static readonly string[] Extensions =
        ["classification", "schedule_policy", "model_configuration", "binary_tensor_data", "parameters", "statistics", "generate"];

    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay, Readiness readiness, WorkerSlotStore slots, ModelVersions versions)
    {
        routes.On("GET", "/v2", Demand.Nothing, "Server metadata",
            () => new ServerMetadata("sluice", Version, Extensions));
        routes.On("GET", "/v2/health/live", Demand.Nothing, "The gateway runs", () => new Live(true));
        routes.On("GET", "/v2/health/ready", Demand.Nothing, "The gateway can take requests", async (HttpContext context) =>
        {
            var why = await readiness.WhyNotAsync(context.RequestAborted);
            context.Response.StatusCode = why.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            return new Ready(why.Count == 0);
        });
        foreach (var version in new[] { "", "/versions/{version}" })
        {
            var model = "/v2/models/{model}" + version;
            routes.On("GET", model + "/ready", Demand.Invoke, "Whether the model can be asked; starts no worker where it is known without one",
                (HttpContext context) => ReadyAsync(context, relay, slots, versions)).Produces<ModelReady>();
            routes.On("GET", model, Demand.Invoke, "Model metadata, as its worker tells it", Forward).WithMetadata(new Leftovers.Relayed());
            routes.On("GET", model + "/config", Demand.Invoke, "How the model is served: batching, versions, placement", Forward).WithMetadata(new Leftovers.Relayed());
            routes.On("GET", model + "/stats", Demand.Invoke, "What one of its workers has done: requests, rows, runs, times", Forward)
                .WithMetadata(new Leftovers.Relayed());
            routes.On("POST", model + "/infer", Demand.Invoke, "Inference, JSON or with binary tensors", Forward).WithMetadata(new Leftovers.Relayed());
            routes.On("POST", model + "/generate", Demand.Invoke, "Text generation, or outputs by their names, answered whole", Forward)
                .WithMetadata(new Leftovers.Relayed());
            routes.On("POST", model + "/generate_stream", Demand.Invoke, "Text generation, an event a token; of another model one event", Forward)
                .WithMetadata(new Leftovers.Relayed());
        }

        // Of one worker, the one that answers. Who may change them is the worker's to say: it is told of admins.
        const string trace = "/v2/models/{model}/trace/setting";
        routes.On("GET", trace, Demand.Invoke, "Which requests to the model one of its workers traces", Forward).WithMetadata(new Leftovers.Relayed());
        routes.On("POST", trace, Demand.Invoke, "Change that; the key must have the scope admin", Forward).WithMetadata(new Leftovers.Relayed());

        Task Forward(HttpContext context) => relay.SendAsync(context, skip: 0);
    }

    /// <summary>A model at zero workers is ready: its first request starts one. Only one that cannot start is not.</summary>
    private static async Task ReadyAsync(HttpContext context, EndpointRelay relay, WorkerSlotStore slots, ModelVersions versions)
    {
        var admission = context.Admission();
        var endpoint = admission.Deployment!.Endpoint;
        var model = (string)context.Request.RouteValues["model"]!;
        if (await slots.WhyBlockedAsync(endpoint.Id, context.RequestAborted) is { } why)
        {
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, why.ReasonFor(admission.Caller is null),
                why.RetryAfter(context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow()));
            return;
        }

        if (context.Request.RouteValues["version"] is string version)
        {
            // A ready worker answers for itself. At zero workers the repository decides; where it cannot, the request starts a worker.
            var known = await slots.FindWorkerAsync(endpoint.Id, context.RequestAborted) is null ? versions.Serves(admission.Deployment, model, version) : null;
            if (known is null)
            {
                await relay.SendAsync(context, skip: 0);
                return;
            }

            if (known is false)
            {
                await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"Request for unknown model: '{model}' version {version} is not found");
                return;
            }
        }

        await context.Response.WriteAsJsonAsync(new ModelReady(model, true), context.RequestAborted);
    }

    /// <summary>Answer to <c>GET /v2</c>.</summary>
    public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

    /// <summary>Answer to <c>/v2/health/live</c>.</summary>
    public sealed record Live([property: JsonPropertyName("live")] bool IsLive);

    /// <summary>Answer to <c>/v2/health/ready</c>.</summary>
    public sealed record Ready([property: JsonPropertyName("ready")] bool IsReady);

    /// <summary>Answer to a model's <c>ready</c>.</summary>
    public sealed record ModelReady(string Name, [property: JsonPropertyName("ready")] bool IsReady);
}
