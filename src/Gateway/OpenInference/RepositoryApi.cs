using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;
using Sluice.Storage.Keys;
using Sluice.Storage.Queueing;

namespace Sluice.Gateway.OpenInference;

/// <summary>
/// The Triton extensions that do not name one model. The list, the index and the statistics cover the models of the
/// caller's endpoints, and start no worker. Requests for the settings of one worker are rejected with the path that
/// reaches a worker.
/// </summary>
public sealed class RepositoryApi(CatalogWatcher catalog, WorkerSlotStore slots, ModelVersions versions,
    ModelStatistics statistics)
{
    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/v2/models", AccessLevel.AuthenticatedKey,
            "List the names of the models that the key may use",
            (HttpContext context) =>
            new ModelNames([.. Visible(context).SelectMany(d => d.Endpoint.ServedModels)
            .Order(StringComparer.Ordinal)]));
        routes.MapRoute("GET", "/v2/models/stats", AccessLevel.AuthenticatedKey,
            "Get the statistics of the models that the key may use, from one ready worker of each endpoint",
            StatisticsAsync);
        routes.MapRoute("POST", "/v2/repository/index", AccessLevel.AuthenticatedKey,
            "List the models that the key may use, and whether they are ready", IndexAsync)
            .Produces<List<IndexEntry>>();
        foreach (var verb in new[] { "load", "unload" })
            routes.MapRoute("POST", $"/v2/repository/models/{{model}}/{verb}", AccessLevel.Invoke,
                "Rejected: each worker loads its own models", RefuseLoadAsync);
        foreach (var path in new[] { "/v2/logging", "/v2/trace/setting" })
            foreach (var method in new[] { "GET", "POST" })
                routes.MapRoute(method, path, AccessLevel.AuthenticatedKey, "Rejected: each worker has its own setting",
                    (HttpContext context) =>
                    RefuseAsync(context, StatusCodes.Status400BadRequest,
                    $"Each worker has its own setting. Send this request to {method} /e/{{endpoint}}{path}."));
        foreach (var kind in new[] { "systemsharedmemory", "cudasharedmemory" })
            routes.Map($"/v2/{kind}/{{**rest}}", context => RefuseAsync(context, StatusCodes.Status501NotImplemented,
                "Shared memory is not supported. Send tensors in the request, as JSON or as binary data."))
                .WithMetadata(new AccessRule(AccessLevel.AuthenticatedKey));
    }

    private static Task RefuseLoadAsync(HttpContext context) => RefuseAsync(context, StatusCodes.Status400BadRequest,
        "Each worker loads its own models. Set SLUICE_MODEL_CONTROL=explicit for the worker, and send this request to "
        + $"POST /e/{context.Admission().Deployment!.Endpoint.Id}{context.Request.Path}.");

    private static Task RefuseAsync(HttpContext context, int status, string detail) =>
        Problem.WriteAsync(context, status, detail);

    /// <summary>Returns the endpoints whose models the key may use. Canaries serve the models of others.</summary>
    private IEnumerable<Deployment> Visible(HttpContext context)
    {
        var scope = context.Admission().Caller!.Scope;
        return catalog.Current.Deployments
            .Where(d => d.Endpoint.Canary is null && (d.Endpoint.Public || scope.MayInvoke(d.Endpoint.Id)))
            .OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal);
    }

    private async Task StatisticsAsync(HttpContext context)
    {
        var body = await statistics.CollectAsync([.. Visible(context)], context.RequestAborted);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task IndexAsync(HttpContext context)
    {
        if (await ReadyOnlyAsync(context) is not { } readyOnly) return;
        var deployments = Visible(context).ToList();
        var blocked = await Task.WhenAll(deployments.Select(d =>
            slots.WhyBlockedAsync(d.Endpoint.Id, context.RequestAborted)));
        var index = deployments.Zip(blocked, (d, why) => d.Endpoint.ServedModels.Select(model => new IndexEntry(
            model, versions.Newest(d, model)?.ToString(CultureInfo.InvariantCulture),
            why is null ? "READY" : "UNAVAILABLE", why?.ReasonFor(false))))
            .SelectMany(e => e).Where(e => !readyOnly || e.State == "READY")
            .OrderBy(e => e.Name, StringComparer.Ordinal);
        await context.Response.WriteAsJsonAsync(index.ToList(), context.RequestAborted);
    }

    /// <summary>Reads the only field of the body. The body may be empty. Null: an error response was written.</summary>
    private static async Task<bool?> ReadyOnlyAsync(HttpContext context)
    {
        if (context.Request.ContentLength == 0
            || context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true }) return false;
        if (await JsonBody.ReadAsync(context) is not { } body) return null;
        var ready = (body.Node as JsonObject)?["ready"];
        if (body.Node is JsonObject && ready is null) return false;
        if (ready?.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return ready.GetValue<bool>();
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, body.Node is JsonObject
            ? $"ready is '{ready!.ToJsonString()}'; expected true or false."
            : "The body is not a JSON object; expected {\"ready\": true} or an empty body.");
        return null;
    }

    /// <summary>The response to <c>GET /v2/models</c>.</summary>
    public sealed record ModelNames(IReadOnlyList<string> Models);

    /// <summary>One model of the index. The version is omitted if only a worker can determine it.</summary>
    public sealed record IndexEntry(string Name,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Version,
        string State,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason);
}
