using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/endpoints/{id}/webhooks</c>: lists and repeats webhook deliveries, and manages the signing secrets.
/// </summary>
public static class WebhooksApi
{
    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, WebhookStore store, CatalogWatcher catalog, TimeProvider time)
    {
        const string hooks = "/api/v1/endpoints/{id}/webhooks";
        routes.MapRoute("GET", hooks, AccessLevel.Read, "List webhook deliveries, newest first; ?offset=, ?limit=",
            async (HttpContext context, string id) =>
        {
            if (!await RequireEndpointAsync(context, catalog, id)) return;
            if (await Paging.ReadAsync(context) is not var (offset, limit)) return;
            await context.Response.WriteAsJsonAsync(new DeliveryList(await store.ListAsync(id, offset, limit,
                context.RequestAborted), offset, limit));
        }).Produces<DeliveryList>();
        routes.MapRoute("GET", hooks + "/{delivery}", AccessLevel.Read, "Get a delivery with its log",
            async (HttpContext context, string id, string delivery) =>
        {
            if (await store.FindAsync(id, delivery, context.RequestAborted) is { } found)
                await context.Response.WriteAsJsonAsync(found);
            else await NotFoundAsync(context, id, delivery);
        }).Produces<WebhookDelivery>();
        routes.MapRoute("POST", hooks + "/{delivery}/redeliver", AccessLevel.Admin, "Repeat a delivery immediately",
            async (HttpContext context, string id, string delivery) =>
        {
            if (!await store.RedeliverAsync(id, delivery, context.RequestAborted))
                await NotFoundAsync(context, id, delivery);
            else await context.Response.WriteAsJsonAsync(await store.FindAsync(id, delivery, context.RequestAborted));
        }).Produces<WebhookDelivery>();
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/webhook-secret", AccessLevel.Admin,
            "List the active signing secrets, newest first",
            async (HttpContext context, string id) =>
            {
                if (!await RequireEndpointAsync(context, catalog, id)) return;
                context.Response.Headers.CacheControl = "no-store";
                await context.Response.WriteAsJsonAsync(new Secrets(await store.SecretsAsync(id, time.GetUtcNow(),
                    context.RequestAborted)));
            }).Produces<Secrets>();
        routes.MapRoute("POST", "/api/v1/endpoints/{id}/webhook-secret/rotate", AccessLevel.Admin,
            "Create a new signing secret; deliveries are also signed with the previous secret for a day",
                async (HttpContext context, string id) =>
            {
                if (!await RequireEndpointAsync(context, catalog, id)) return;
                await store.RotateAsync(id, time.GetUtcNow(), context.RequestAborted);
                context.Response.Headers.CacheControl = "no-store";
                await context.Response.WriteAsJsonAsync(new Secrets(await store.SecretsAsync(id, time.GetUtcNow(),
                    context.RequestAborted)));
            }).Produces<Secrets>();
    }

    private static async Task<bool> RequireEndpointAsync(HttpContext context, CatalogWatcher catalog, string id)
    {
        if (catalog.Current.Find(id) is not null) return true;
        await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The endpoint '{id}' does not exist.");
        return false;
    }

    private static Task NotFoundAsync(HttpContext context, string id, string delivery) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound,
        $"Endpoint '{id}' has no delivery '{delivery}', or the delivery was deleted.");

    /// <summary>A page of deliveries.</summary>
    public sealed record DeliveryList(IReadOnlyList<WebhookDelivery> Deliveries, int Offset, int Limit);

    /// <summary>Signing secrets, newest first.</summary>
    public sealed record Secrets(IReadOnlyList<string> Values);
}
