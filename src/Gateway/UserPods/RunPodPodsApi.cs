using System.Text.Json.Nodes;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// <c>/v2/pods</c>: the pods of RunPod's API v2, for its clients. Source: RunPod's OpenAPI document, November 2026.
/// </summary>
public sealed class RunPodPodsApi(
    UserPodService service, UserPodCatalog pods, UserPodLogs logs, UserPodFiguresReader figures)
{
    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/v2/pods", AccessLevel.Read, "List pods (RunPod API v2)", ListAsync)
            .Produces<RunPodPodList>();
        routes.MapRoute("POST", "/v2/pods", AccessLevel.Admin, "Create a pod (RunPod API v2)", CreateAsync)
            .Produces<RunPodPod>(StatusCodes.Status201Created);
        routes.MapRoute("GET", "/v2/pods/{id}", AccessLevel.Read, "Get a pod (RunPod API v2)",
            async (HttpContext context, string id) =>
            {
                if (await FindAsync(context, id) is { } entry) await WriteAsync(context, entry);
            }).Produces<RunPodPod>();
        routes.MapRoute("PATCH", "/v2/pods/{id}", AccessLevel.Admin, "Change a pod (RunPod API v2)", ChangeAsync)
            .Produces<RunPodPod>();
        routes.MapRoute("DELETE", "/v2/pods/{id}", AccessLevel.Admin, "Terminate a pod (RunPod API v2)",
            (HttpContext context, string id) => ActAsync(context, id, "terminate"))
            .Produces(StatusCodes.Status204NoContent);
        routes.MapRoute("POST", "/v2/pods/{id}/action", AccessLevel.Admin,
            "Start, stop, restart or terminate a pod (RunPod API v2)", ActionAsync).Produces<RunPodPod>();
        routes.MapRoute("GET", "/v2/pods/{id}/logs", AccessLevel.Read,
            "Follow the log of a pod as server-sent events (RunPod API v2)",
            async (HttpContext context, string id) =>
            {
                if (await FindAsync(context, id) is { } entry) await logs.WriteAsync(context, entry);
            }).Produces(StatusCodes.Status200OK, contentType: "text/event-stream");
    }

    private async Task ListAsync(HttpContext context)
    {
        await pods.RefreshAsync(context.RequestAborted);
        var all = pods.All.Where(p => p.Pod.Goal != UserPodGoal.Terminated).ToList();
        var read = await figures.ReadAsync(all, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(
            new RunPodPodList([.. all.Select(p => RunPodPod.From(p, context.Request.Host, read))]),
            context.RequestAborted);
    }

    private async Task CreateAsync(HttpContext context)
    {
        if (await ReadAsync(context, creates: true) is not { } request) return;
        var result = await service.CreateAsync(
            request.Fields, context.Admission().Caller!, null, null, context.RequestAborted);
        UserPodAudit.Set(context, result);
        if (result.Entry is not { } entry)
        {
            await RefuseAsync(context, result);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status201Created;
        await WriteAsync(context, entry);
    }

    private async Task ChangeAsync(HttpContext context, string id)
    {
        if (await ReadAsync(context, creates: false) is not { } request) return;
        var result = await service.ChangeAsync(id, request.Fields, request.Locked, context.RequestAborted);
        UserPodAudit.Set(context, result);
        await (result.Entry is { } entry ? WriteAsync(context, entry) : RefuseAsync(context, result));
    }

    private async Task ActionAsync(HttpContext context, string id)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var action = body.Node is JsonObject o && o["action"] is JsonValue v && v.TryGetValue<string>(out var text)
            ? text : null;
        if (action is null || !UserPodActions.All.Contains(action) || body.Node!.AsObject().Count != 1)
        {
            await Problem.WriteAsync(context, StatusCodes.Status422UnprocessableEntity,
                $"The body is {body.Node?.ToJsonString() ?? "null"}; expected {{\"action\": \"...\"}} with "
                + $"{string.Join(", ", UserPodActions.All)}.");
            return;
        }

        await ActAsync(context, id, action);
    }

    private async Task ActAsync(HttpContext context, string id, string action)
    {
        var result = await service.ActAsync(id, action, context.RequestAborted);
        UserPodAudit.Set(context, result);
        if (result.Entry is not { } entry) await RefuseAsync(context, result);
        else if (action == "terminate") context.Response.StatusCode = StatusCodes.Status204NoContent;
        else await WriteAsync(context, entry);
    }

    private async Task<UserPodEntry?> FindAsync(HttpContext context, string id)
    {
        if (await pods.FindAsync(id, context.RequestAborted) is { } entry) return entry;
        await RefuseAsync(context, UserPodResult.NotFound(id));
        return null;
    }

    private async Task WriteAsync(HttpContext context, UserPodEntry entry)
    {
        var read = await figures.ReadAsync([entry], context.RequestAborted);
        await context.Response.WriteAsJsonAsync(
            RunPodPod.From(entry, context.Request.Host, read), context.RequestAborted);
    }

    /// <summary>An unknown template is 404, and invalid fields are 422, as RunPod answers.</summary>
    private static Task RefuseAsync(HttpContext context, UserPodResult result)
    {
        var status = result.Errors is not { } errors ? result.Status
            : errors.Any(e => e.Field == "template") ? StatusCodes.Status404NotFound
            : StatusCodes.Status422UnprocessableEntity;
        return Problem.WriteAsync(context, status, result.Detail, errors: result.Errors);
    }

    private static async Task<RunPodPodRequest?> ReadAsync(HttpContext context, bool creates)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return null;
        if (body.Node is not JsonObject fields)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"The body is {body.Node?.ToJsonString() ?? "null"}; expected a JSON object.");
            return null;
        }

        var request = RunPodPodRequest.Read(fields, creates);
        if (request.Errors.Count == 0) return request;
        await Problem.WriteAsync(context, StatusCodes.Status422UnprocessableEntity, string.Join("; ", request.Errors));
        return null;
    }
}
