using System.Text.Json.Serialization;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Relay;
using Sluice.Gateway.Selection;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// The OpenAI API at <c>/v1</c> (platform.openai.com/docs/api-reference). The field <c>model</c> of the body selects
/// the endpoint, and the request is forwarded unchanged, so any worker that speaks the API is served in the same way.
/// </summary>
public static class OpenAiApi
{
    /// <summary>
    /// Limit of a body in bytes: clients can send the model after the messages, so the gateway may have to hold all of
    /// it. The limit of the endpoint, whose default is the same, applies afterwards.
    /// </summary>
    private const long MaxBodyBytes = 64L << 20;

    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay, CatalogWatcher catalog)
    {
        MapRelayed("chat/completions", "Answer a conversation, whole or as a stream of events");
        MapRelayed("completions", "Continue texts, whole or as a stream of events");
        MapRelayed("embeddings", "Return vectors of texts");
        routes.MapRoute("GET", "/v1/models", AccessLevel.AuthenticatedKey,
            "List the models that the key may use; starts no worker",
            (HttpContext context) => new ListModelsResponse([.. Visible(context, catalog).Select(m => new Model(m))]));
        // Names of published models contain slashes.
        routes.MapRoute("GET", "/v1/models/{**model}", AccessLevel.Invoke,
            "Get a model that the key may use; starts no worker", (string model) => new Model(model));

        void MapRelayed(string path, string summary) =>
            routes.MapRoute("POST", "/v1/" + path, AccessLevel.Invoke, summary,
                (HttpContext context) => relay.SendAsync(context, skip: 0))
                .WithMetadata(new JsonBodySelector("model", MaxBodyBytes), new GatewayExceptionHandler.Relayed(),
                    SharesWithCanaries.Instance);
    }

    private static IEnumerable<string> Visible(HttpContext context, CatalogWatcher catalog)
    {
        var scope = context.Admission().Caller!.Scope;
        return catalog.Current.Deployments
            .Where(d => d.Endpoint.Canary is null && (d.Endpoint.Public || scope.MayInvoke(d.Endpoint.Id)))
            .SelectMany(d => d.Endpoint.ServedModels).Order(StringComparer.Ordinal);
    }

    /// <summary>The response to <c>GET /v1/models</c>.</summary>
    /// <param name="Data">The models, in the order of their names.</param>
    public sealed record ListModelsResponse(IReadOnlyList<Model> Data)
    {
        /// <summary>The type of the object.</summary>
        [JsonPropertyName("object")]
        public string Type => "list";
    }

    /// <summary>A model of an endpoint.</summary>
    /// <param name="Id">The name, which requests give as <c>model</c>.</param>
    public sealed record Model(string Id)
    {
        /// <summary>The type of the object.</summary>
        [JsonPropertyName("object")]
        public string Type => "model";

        /// <summary>When the model was made, in seconds since 1970. Only a worker knows it, so it is 0.</summary>
        public long Created => 0;

        /// <summary>The owner.</summary>
        [JsonPropertyName("owned_by")]
        public string OwnedBy => "sluice";
    }
}
