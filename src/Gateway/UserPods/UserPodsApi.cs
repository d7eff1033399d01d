using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary><c>/api/v1/pods</c>: isolated environments of users, beside the endpoints.</summary>
public sealed class UserPodsApi(
    UserPodService service,
    UserPodStore store,
    UserPodCatalog pods,
    UserPodLinks links,
    UserPodLogs logs,
    UserPodFiguresReader figures,
    UserPodRouting routing)
{
    private const int MaxPath = 2000;

    /// <summary>Read-only fields of responses. A client may send them back; they are ignored.</summary>
    private static readonly string[] ReadOnly =
    [
        "id", "status", "reason", "actions", "owner", "node", "devices", "createdAt", "startedAt", "lastActiveAt",
        "idleStopAt", "stopAt", "terminateAt", "costPerHour", "currency", "utilization",
    ];

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/pods", AccessLevel.AuthenticatedKey,
            "List the pods that the key may open", ListAsync).Produces<UserPodList>();
        routes.MapRoute("POST", "/api/v1/pods", AccessLevel.Admin, "Create a pod from an image or a template",
            CreateAsync).AcceptsJson<UserPodSpec>().Produces<UserPodView>(StatusCodes.Status201Created);
        routes.MapRoute("GET", "/api/v1/pods/{id}", AccessLevel.AuthenticatedKey, "Get a pod",
            async (HttpContext context, string id) =>
            {
                if (await FindAsync(context, id) is { } entry) await WriteAsync(context, entry);
            }).Produces<UserPodView>();
        routes.MapRoute("PATCH", "/api/v1/pods/{id}", AccessLevel.Admin,
            "Change fields of a pod; a running one gets a new container if its container is affected", ChangeAsync)
            .AcceptsJson<UserPodSpec>().Produces<UserPodView>();
        routes.MapRoute("DELETE", "/api/v1/pods/{id}", AccessLevel.Admin,
            "Terminate a pod: its container and its volume are deleted",
            (HttpContext context, string id) => ActAsync(context, id, "terminate"))
            .Produces(StatusCodes.Status204NoContent);
        foreach (var action in UserPodActions.All)
            routes.MapRoute("POST", $"/api/v1/pods/{{id}}/{action}", AccessLevel.Admin,
                $"{char.ToUpperInvariant(action[0])}{action[1..]} a pod; 409 if its status does not allow it",
                (HttpContext context, string id) => ActAsync(context, id, action)).Produces<UserPodView>();
        routes.MapRoute("GET", "/api/v1/pods/{id}/logs", AccessLevel.AuthenticatedKey,
            "Follow the log of a pod as server-sent events; ?source=container or system, ?tail=, ?since=",
            async (HttpContext context, string id) =>
            {
                if (await FindAsync(context, id) is { } entry) await logs.WriteAsync(context, entry);
            }).Produces(StatusCodes.Status200OK, contentType: "text/event-stream");
        routes.MapRoute("POST", "/api/v1/pods/{id}/links", AccessLevel.AuthenticatedKey,
            "Create a one-time link that opens an HTTP port of a pod in a browser; ?port=, ?path=", LinkAsync)
            .Produces<UserPodLink>(StatusCodes.Status201Created);
    }

    /// <summary>Writes the refusal of a request.</summary>
    internal static Task RefuseAsync(HttpContext context, UserPodResult result) => result.Errors is { } errors
        ? JsonBody.RefuseAsync(context, errors)
        : Problem.WriteAsync(context, result.Status, result.Detail);

    private async Task ListAsync(HttpContext context)
    {
        await pods.RefreshAsync(context.RequestAborted);
        var caller = context.Admission().Caller!;
        var activity = await store.ReadActivityAsync(context.RequestAborted);
        var seen = pods.All.Where(p => p.Pod.Goal != UserPodGoal.Terminated
            && (caller.Scope.MayRead || caller.Scope.MayOpenPod(p.Pod.Id, p.Pod.Owner == caller.KeyId))).ToList();
        var read = await figures.ReadAsync(seen, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(
            new UserPodList([.. seen.Select(p => View(context, p, activity, read))]), context.RequestAborted);
    }

    private async Task CreateAsync(HttpContext context)
    {
        if (await ReadAsync(context) is not { } fields) return;
        var result = await service.CreateAsync(
            fields, context.Admission().Caller!, null, null, context.RequestAborted);
        UserPodAudit.Set(context, result);
        if (result.Entry is not { } entry)
        {
            await RefuseAsync(context, result);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"/api/v1/pods/{entry.Pod.Id}";
        await WriteAsync(context, entry);
    }

    private async Task ChangeAsync(HttpContext context, string id)
    {
        if (await ReadAsync(context) is not { } fields) return;
        bool? locked = null;
        if (fields["locked"] is { } given)
        {
            if (given is not JsonValue value || !value.TryGetValue<bool>(out var flag))
            {
                await JsonBody.RefuseAsync(context, [new FieldError("locked", given.ToJsonString(), "true or false")]);
                return;
            }

            locked = flag;
            fields.Remove("locked");
        }

        var result = await service.ChangeAsync(id, fields, locked, context.RequestAborted);
        UserPodAudit.Set(context, result);
        await (result.Entry is { } entry ? WriteAsync(context, entry) : RefuseAsync(context, result));
    }

    private async Task ActAsync(HttpContext context, string id, string action)
    {
        var result = await service.ActAsync(id, action, context.RequestAborted);
        UserPodAudit.Set(context, result);
        if (result.Entry is not { } entry) await RefuseAsync(context, result);
        else if (HttpMethods.IsDelete(context.Request.Method))
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        else await WriteAsync(context, entry);
    }

    private async Task LinkAsync(HttpContext context, string id)
    {
        if (await FindAsync(context, id, isOpened: true) is not { Pod: var pod }) return;
        var (number, path) = (context.Request.Query["port"].ToString(), context.Request.Query["path"].ToString());
        var first = pod.Spec.FirstHttpPort;
        var port = number.Length == 0 ? first ?? 0 : int.TryParse(number, out var given) ? given : 0;
        if (!pod.Spec.OpensHttp(port))
        {
            var open = pod.Spec.OpenPorts.Where(p => p.IsHttp).Select(p => p.Number).ToList();
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"port is '{number}'; expected "
                + (open.Count > 0 ? $"{string.Join(" or ", open)}." : "no request: the pod has no HTTP port."));
            return;
        }

        if (path.Length > MaxPath || path.StartsWith('/') || path.Contains('\\', StringComparison.Ordinal)
            || path.Any(char.IsControl))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"path is '{path}'; expected a path without a leading slash, like lab/tree/notebook.ipynb.");
            return;
        }

        var link = await links.CreateAsync(
            pod, port, path, context.Admission().Caller!.KeyId, context.Request.Host, context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(link, context.RequestAborted);
    }

    /// <summary>Finds a pod that the caller may read or open, or writes a 404 and returns null.</summary>
    private async Task<UserPodEntry?> FindAsync(HttpContext context, string id, bool isOpened = false)
    {
        var caller = context.Admission().Caller!;
        if (await pods.FindAsync(id, context.RequestAborted) is { } entry
            && ((caller.Scope.MayRead && !isOpened)
                || caller.Scope.MayOpenPod(id, entry.Pod.Owner == caller.KeyId))) return entry;
        await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The pod '{id}' does not exist.");
        return null;
    }

    private async Task WriteAsync(HttpContext context, UserPodEntry entry)
    {
        var activity = await store.ReadActivityAsync(context.RequestAborted);
        var read = await figures.ReadAsync([entry], context.RequestAborted);
        await context.Response.WriteAsJsonAsync(View(context, entry, activity, read), context.RequestAborted);
    }

    private UserPodView View(
        HttpContext context, UserPodEntry entry, IReadOnlyDictionary<string, DateTimeOffset> activity,
        UserPodFigures read) =>
        UserPodView.From(entry, activity.TryGetValue(entry.Pod.Id, out var at) ? at : null, read, routing,
            context.Request.Host);

    /// <summary>Reads a body, or writes a 400 response and returns null.</summary>
    private static async Task<JsonObject?> ReadAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return null;
        if (body.Node is JsonObject fields)
        {
            foreach (var name in ReadOnly) fields.Remove(name);
            return fields;
        }

        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"The body is {body.Node?.ToJsonString() ?? "null"}; expected a JSON object.");
        return null;
    }
}
