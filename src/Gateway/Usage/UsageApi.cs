using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Usage;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary><c>/api/v1/usage</c>: what keys used of endpoints. <c>/api/v1/prices</c>: what workers cost.</summary>
public sealed class UsageApi(UsageReader reader, UsageLedger ledger, TimeProvider time)
{
    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/usage", AccessLevel.Read,
            "Get usage and cost by time; ?groupBy=key|endpoint|model|tag (default endpoint), ?step=hour|day|month "
            + "(default day), ?since= (default: this month), ?until=, ?endpoint=, ?key=, ?format=json|csv", UsageAsync)
            .Produces<UsageList>();
        routes.MapRoute("GET", "/api/v1/prices", AccessLevel.Read, "Get the prices of workers",
            async (HttpContext context) => await context.Response.WriteAsJsonAsync(
                await ledger.PricesAsync(context.RequestAborted), context.RequestAborted)).Produces<PriceTable>();
        routes.MapRoute("PUT", "/api/v1/prices", AccessLevel.Admin,
            "Replace the prices of workers, each from a date on; they apply when usage is read", PutPricesAsync)
            .AcceptsJson<PriceTable>().Produces<PriceTable>();
    }

    private async Task UsageAsync(HttpContext context)
    {
        var (query, error) = UsageQuery.Read(context.Request.Query, time.GetUtcNow());
        if (query is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, error);
            return;
        }

        var (prices, lines) = await reader.ReadAsync(query, context.RequestAborted);
        var usage = lines.Select(UsageView.From).ToList();
        if (query.IsCsv)
        {
            context.Response.ContentType = "text/csv; charset=utf-8";
            await context.Response.WriteAsync(UsageCsv.Write(usage), context.RequestAborted);
            return;
        }

        await context.Response.WriteAsJsonAsync(new UsageList(query.Since, query.Until,
            query.Step.ToString().ToLowerInvariant(), query.GroupBy.ToString().ToLowerInvariant(), prices.Currency,
            usage), context.RequestAborted);
    }

    private async Task PutPricesAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var (table, errors) = PriceFields.Read(body.Node);
        if (errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        var before = await ledger.PricesAsync(context.RequestAborted);
        AuditDetails.Set(context, Json(before), Json(table));
        await ledger.PutPricesAsync(table, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(table, context.RequestAborted);
    }

    private static JsonObject Json(PriceTable table) =>
        JsonSerializer.SerializeToNode(table, UsageApiJson.Default.PriceTable)!.AsObject();
}
