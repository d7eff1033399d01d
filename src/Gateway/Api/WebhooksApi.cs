using Sluice.Core.Endpoints;
using Sluice.Core.Jobs.Webhooks;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/api/v1/endpoints/{id}/webhooks</c>: what was delivered and how, once more, and the secret that signs it.</summary>
public static class WebhooksApi
{
    public static void Map(IEndpointRouteBuilder routes, WebhookStore store, CatalogWatcher catalog, TimeProvider time)
    {
        const string hooks = "/api/v1/endpoints/{id}/webhooks";
        routes.On("GET", hooks, Demand.Admin, "Webhook deliveries, the newest first; ?offset=, ?limit=", async (HttpContext context, string id) =>
        {
            if (!await KnownAsync(context, catalog, id)) return;
            if (await Paging.ReadAsync(context) is not var (offset, limit)) return;
            await context.Response.WriteAsJsonAsync(new DeliveryList(await store.ListAsync(id, offset, limit, context.RequestAborted), offset, limit));
        }).Produces<DeliveryList>();
        routes.On("GET", hooks + "/{delivery}", Demand.Admin, "One delivery with its log", async (HttpContext context, string id, string delivery) =>
        {
            if (await store.FindAsync(id, delivery, context.RequestAborted) is { } found) await context.Response.WriteAsJsonAsync(found);
            else await NoneAsync(context, id, delivery);
        }).Produces<WebhookDelivery>();
        routes.On("POST", hooks + "/{delivery}/redeliver", Demand.Admin, "Deliver once more, now", async (HttpContext context, string id, string delivery) =>
        {
            if (!await store.AgainAsync(id, delivery, context.RequestAborted)) await NoneAsync(context, id, delivery);
            else await context.Response.WriteAsJsonAsync(await store.FindAsync(id, delivery, context.RequestAborted));
        }).Produces<WebhookDelivery>();
        routes.On("GET", "/api/v1/endpoints/{id}/webhook-secret", Demand.Admin, "The secrets that sign now, the newest first",
            async (HttpContext context, string id) =>
            {
                if (!await KnownAsync(context, catalog, id)) return;
                context.Response.Headers.CacheControl = "no-store";
                await context.Response.WriteAsJsonAsync(new Secrets(await store.SecretsAsync(id, time.GetUtcNow(), context.RequestAborted)));
            }).Produces<Secrets>();
        routes.On("POST", "/api/v1/endpoints/{id}/webhook-secret/rotate", Demand.Admin,
            "Make a new secret; the old one signs beside it for a day", async (HttpContext context, string id) =>
            {
                if (!await KnownAsync(context, catalog, id)) return;
                await store.RotateAsync(id, time.GetUtcNow(), context.RequestAborted);
                context.Response.Headers.CacheControl = "no-store";
                await context.Response.WriteAsJsonAsync(new Secrets(await store.SecretsAsync(id, time.GetUtcNow(), context.RequestAborted)));
            }).Produces<Secrets>();
    }

    private static async Task<bool> KnownAsync(HttpContext context, CatalogWatcher catalog, string id)
    {
        if (catalog.Current.Find(id) is not null) return true;
        await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"no endpoint '{id}'");
        return false;
    }

    private static Task NoneAsync(HttpContext context, string id, string delivery) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"endpoint '{id}' has no delivery '{delivery}' (any more)");

    /// <summary>Answer to a list.</summary>
    public sealed record DeliveryList(IReadOnlyList<WebhookDelivery> Deliveries, int Offset, int Limit);

    /// <summary>Signing secrets, the newest first.</summary>
    public sealed record Secrets(IReadOnlyList<string> Values);
}
