using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Usage;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Jobs;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary><c>/api/v1/budgets</c>: limits of what may be used in a day, week or month.</summary>
public sealed class BudgetsApi(BudgetStore store, BudgetWatch watch, BudgetGuard guard, OutboundGuard outbound,
    WebhookStore hooks, TimeProvider time)
{
    private const string Path = "/api/v1/budgets";

    /// <summary>A budget is read with each request, so there are few.</summary>
    private const int MaxBudgets = 1000;

    private static readonly TimeSpan ResolveTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", Path, AccessLevel.Read, "List budgets, and what is used of them in their windows",
            ListAsync).Produces<BudgetList>();
        routes.MapRoute("GET", Path + "/{id}", AccessLevel.Read, "Get a budget, and what is used of it",
            async (HttpContext context, string id) =>
            {
                if (await FindAsync(context, id) is { } budget) await WriteAsync(context, budget);
            }).Produces<BudgetView>();
        routes.MapRoute("POST", Path, AccessLevel.Admin,
            "Create a budget; what was used in its current window counts. All gateways apply it within 2 s",
            CreateAsync).AcceptsJson<BudgetRequest>().Produces<BudgetView>(StatusCodes.Status201Created);
        routes.MapRoute("PUT", Path + "/{id}", AccessLevel.Admin, "Replace the name, limit and webhook of a budget",
            ReplaceAsync)
            .AcceptsJson<BudgetRequest>().Produces<BudgetView>();
        routes.MapRoute("DELETE", Path + "/{id}", AccessLevel.Admin, "Delete a budget", DeleteAsync)
            .Produces(StatusCodes.Status204NoContent);
        routes.MapRoute("GET", Path + "/webhook-secret", AccessLevel.Admin,
            "List the active signing secrets of alerts, newest first",
            async (HttpContext context) =>
            {
                context.Response.Headers.CacheControl = "no-store";
                await context.Response.WriteAsJsonAsync(new AlertSecrets(
                    await hooks.SecretsAsync(BudgetStore.Outbox, time.GetUtcNow(), context.RequestAborted)));
            }).Produces<AlertSecrets>();
    }

    private async Task ListAsync(HttpContext context)
    {
        var ct = context.RequestAborted;
        var all = await store.ListAsync(ct);
        var states = await Task.WhenAll(all.Select(b => watch.UpdateAsync(b, reads: false, ct)));
        await context.Response.WriteAsJsonAsync(new BudgetList([.. all.Zip(states, BudgetView.From)]), ct);
    }

    private async Task CreateAsync(HttpContext context)
    {
        var id = Guid.NewGuid().ToString("N")[..12];
        if (await ReadAsync(context, id, null) is not { } budget) return;
        if ((await store.ListAsync(context.RequestAborted)).Count >= MaxBudgets)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"There are {MaxBudgets} budgets, which is the limit. Delete one first.");
            return;
        }

        // Before any request reserves. An alert is due when the budget is stored, because its body names the budget.
        await watch.UpdateAsync(budget with { Webhook = "" }, reads: true, context.RequestAborted);
        AuditDetails.Set(context, null, Json(budget), $"{Path}/{id}");
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"{Path}/{id}";
        await StoreAsync(context, budget);
    }

    private async Task ReplaceAsync(HttpContext context, string id)
    {
        if (await FindAsync(context, id) is not { } current) return;
        if (await ReadAsync(context, id, current) is not { } budget) return;
        AuditDetails.Set(context, Json(current), Json(budget));
        await StoreAsync(context, budget);
    }

    private async Task DeleteAsync(HttpContext context, string id)
    {
        if (await FindAsync(context, id) is not { } current) return;
        AuditDetails.Set(context, Json(current), null);
        await store.DeleteAsync(id, context.RequestAborted);
        await guard.RefreshAsync(context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private async Task StoreAsync(HttpContext context, Budget budget)
    {
        await store.PutAsync(budget, context.RequestAborted);
        await guard.RefreshAsync(context.RequestAborted);
        await WriteAsync(context, budget);
    }

    private async Task WriteAsync(HttpContext context, Budget budget)
    {
        var ct = context.RequestAborted;
        await context.Response.WriteAsJsonAsync(
            BudgetView.From(budget, await watch.UpdateAsync(budget, reads: false, ct)), ct);
    }

    /// <summary>Reads the fields of a budget. Null: an error response was written.</summary>
    private async Task<Budget?> ReadAsync(HttpContext context, string id, Budget? current)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return null;
        var (budget, errors) = BudgetFields.Read(body.Node, id);
        if (current is not null && errors.Count == 0) errors.AddRange(BudgetFields.Compare(current, budget));
        if (budget.Webhook.Length > 0 && await outbound.GetRejectionReasonAsync(
            budget.Webhook, ResolveTimeout, context.RequestAborted) is { } why)
            errors.Add(new FieldError("webhook", budget.Webhook, $"a public https URL ({why})"));
        if (errors.Count == 0) return budget;
        await JsonBody.RefuseAsync(context, errors);
        return null;
    }

    /// <summary>Returns a budget. Null: an error response was written.</summary>
    private async Task<Budget?> FindAsync(HttpContext context, string id)
    {
        if (await store.FindAsync(id, context.RequestAborted) is { } budget) return budget;
        await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The budget '{id}' does not exist.");
        return null;
    }

    private static JsonObject Json(Budget budget) =>
        JsonSerializer.SerializeToNode(budget, UsageApiJson.Default.Budget)!.AsObject();
}
