using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Scaling;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/templates</c>, <c>/api/v1/endpoints</c>, <c>/api/v1/manifest</c>: manages the declarations and shows
/// their state.
/// </summary>
public sealed class CatalogApi(CatalogStore store, CatalogWatcher watcher, ManifestLoop manifest, WorkerSlotStore slots,
    PodStore pods, GpuStore gpus, ScalingDecisionStore decisions, EndpointDeletions deletions)
{
    /// <summary>Endpoints whose state is read at the same time for the list.</summary>
    private const int ReadTogether = 64;

    private readonly DeclarationEditor editor = new(store, watcher, deletions);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/templates", AccessLevel.Read, "List templates",
            (HttpContext context) => WriteAsync(context, new JsonObject
        {
            ["templates"] = new JsonArray(
                [.. watcher.Current.Templates.Values.OrderBy(t => t.Name, StringComparer.Ordinal).Select(View)]),
        })).Produces<TemplateList>();
        routes.MapRoute("GET", "/api/v1/endpoints", AccessLevel.Read, "List endpoints with their status", ListAsync)
            .Produces<EndpointList>();
        Map(routes, DeclarationKinds.Template, "{name}", TemplateAsync, DeleteTemplateAsync,
            "Delete a template; 409 if an endpoint uses it").Produces(204);
        Map(routes, DeclarationKinds.Endpoint, "{id}", EndpointAsync, DeleteEndpointAsync,
            "Delete an endpoint, and drain and stop its workers; "
                + "409 if it has canaries, or if jobs are queued or running, unless ?force=true cancels the jobs")
            .Produces(204).Produces<DeletedEndpoint>();
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/workers", AccessLevel.Read,
            "List the workers of an endpoint with states and reasons, and the latest scaling decisions", WorkersAsync)
            .Produces<WorkerList>();
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/decisions", AccessLevel.Read,
            "Explain the number of workers: the latest scaling decision and decisions with a change, with their inputs",
            DecisionsAsync)
            .Produces<Decisions>();
        routes.MapRoute("GET", "/api/v1/manifest", AccessLevel.Read,
            "Get the status of the manifest file: path, time of the last update, errors",
            () => new ManifestView(manifest.Path, manifest.AppliedAt, manifest.Errors));
    }

    /// <summary>Maps the routes that templates and endpoints have in common. Returns that of the deletion.</summary>
    private RouteHandlerBuilder Map<T>(IEndpointRouteBuilder routes, DeclarationKind<T> kind, string parameter,
        Func<string, CancellationToken, Task<JsonObject?>> view, Func<HttpContext, string, Task> delete,
        string deletion)
        where T : class
    {
        var (all, one, a) = ($"/api/v1/{kind.Name}s", $"/api/v1/{kind.Name}s/{parameter}",
            kind.Name == "endpoint" ? "an endpoint" : $"a {kind.Name}");
        string Id(HttpContext context) => (string)context.Request.RouteValues[parameter.Trim('{', '}')]!;
        Func<string, Task<JsonObject>> Changed(HttpContext context) =>
            async id => (await view(id, context.RequestAborted))!;

        routes.MapRoute("GET", one, AccessLevel.Read, $"Get {a}; its ETag changes with its declaration",
            async (HttpContext context) =>
            {
                var id = Id(context);
                // The tag is at most as new as the declaration: a client never has an old one with a new tag.
                var entry = kind.Entries(watcher.State).GetValueOrDefault(id);
                var found = await view(id, context.RequestAborted);
                EntryTag.Set(context.Response, entry);
                await (found is null
                    ? DeclarationEditor.NotFoundAsync(context, kind.Name, id) : WriteAsync(context, found));
            }).Produces<T>();
        routes.MapRoute("POST", all, AccessLevel.Admin, $"Create {a}; 409 if the name exists",
            (HttpContext context) => editor.PutAsync(context, kind, null, Changed(context)))
            .AcceptsJson<T>().Produces<T>(201);
        routes.MapRoute("PUT", one, AccessLevel.Admin,
            $"Create or replace {a}; 412 if it does not match If-Match or If-None-Match",
            (HttpContext context) => editor.PutAsync(context, kind, Id(context), Changed(context)))
            .AcceptsJson<T>().Produces<T>();
        routes.MapRoute("PATCH", one, AccessLevel.Admin,
            $"Change the given fields of {a} (JSON merge patch: null gives a field its default)",
            (HttpContext context) => editor.PatchAsync(context, kind, Id(context), Changed(context)))
            .AcceptsJson<T>().Produces<T>();
        routes.MapRoute("GET", $"{one}/revisions", AccessLevel.Read, $"List the last 20 declarations of {a}",
            (HttpContext context) => editor.RevisionsAsync(context, kind, Id(context)))
            .Produces<DeclarationEditor.RevisionList>();
        routes.MapRoute("POST", $"{one}/rollback", AccessLevel.Admin, $"Declare a revision of {a} again",
            (HttpContext context) => editor.RollbackAsync(context, kind, Id(context), Changed(context)))
            .AcceptsJson<RollbackRequest>().Produces<T>();
        return routes.MapRoute("DELETE", one, AccessLevel.Admin, deletion,
            (HttpContext context) => delete(context, Id(context)));
    }

    private Task<JsonObject?> TemplateAsync(string name, CancellationToken ct) =>
        Task.FromResult(watcher.Current.Templates.TryGetValue(name, out var t) ? View(t) : null);

    private async Task<JsonObject?> EndpointAsync(string id, CancellationToken ct) =>
        watcher.Current.Find(id) is { } deployment ? await ViewAsync(deployment, ct) : null;

    private async Task ListAsync(HttpContext context)
    {
        var all = new JsonArray();
        var ordered = watcher.Current.Deployments.OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal);
        // The reads of an endpoint are several round trips to Redis, and those of many endpoints share them.
        foreach (var some in ordered.Chunk(ReadTogether))
            foreach (var view in await Task.WhenAll(some.Select(d => ViewAsync(d, context.RequestAborted))))
                all.Add(view);
        await WriteAsync(context, new JsonObject { ["endpoints"] = all });
    }

    private async Task WorkersAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (watcher.Current.Find(id) is not { } deployment)
        {
            await DeclarationEditor.NotFoundAsync(context, "endpoint", id);
            return;
        }

        var ct = context.RequestAborted;
        var snapshot = await slots.SnapshotAsync(id, ct);
        var leased = snapshot.Workers.ToDictionary(w => w.PodId);
        var known = await pods.ListAsync(id, ct);
        var outputs = await pods.OutputsAsync(id, ct);
        var made = await decisions.ReadAsync(id, ct);
        var fingerprint = PodFingerprint.Compute(deployment);
        var workers = known.Select(p => new WorkerView(p.Id, GetState(p), p.Reason, p.HostId,
            p.ProcessId, p.RunsAs, p.Devices ?? [], p.ShareMiB, p.StartedAt, p.ReadyAt, p.Stages,
            leased.GetValueOrDefault(p.Id),
            p.LastOutput.Count > 0 ? p.LastOutput : outputs.GetValueOrDefault(p.Id, []))
        {
            Outdated = p.Fingerprint != fingerprint,
            ReportedDevices = p.ReportedDevices ?? [],
            Download = p.State == PodState.Starting ? p.Download : null,
        });
        await context.Response.WriteAsJsonAsync(new WorkerList([.. workers], snapshot.Queued,
            snapshot.OldestWait.TotalMilliseconds,
            await slots.WhyBlockedAsync(id, ct), await gpus.WaitOfAsync(id, ct), made.Changes)
            { Rollout = RolloutView.From(known, fingerprint, made.Latest?.Trouble) }, ct);
    }

    private async Task DecisionsAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (watcher.Current.Find(id) is null)
        {
            await DeclarationEditor.NotFoundAsync(context, "endpoint", id);
            return;
        }

        await context.Response.WriteAsJsonAsync(await decisions.ReadAsync(id, context.RequestAborted),
            context.RequestAborted);
    }

    private async Task DeleteTemplateAsync(HttpContext context, string name)
    {
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun
            || await editor.ExpectedAsync(context, DeclarationKinds.Template, name) is not { } expected) return;
        AuditDetails.Set(context,
            DeclarationKinds.Template.ToJson(watcher.Current.Templates.GetValueOrDefault(name)), null);
        await AnswerAsync(context, await store.DeleteTemplateAsync(name, context.RequestAborted, dryRun, expected),
            "template", name, dryRun);
    }

    /// <summary>
    /// Deletes an endpoint. Accepted jobs are not cancelled silently: an endpoint with queued or running jobs is only
    /// deleted with <c>?force=true</c>.
    /// </summary>
    private async Task DeleteEndpointAsync(HttpContext context, string id)
    {
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun
            || await QueryFlag.ReadAsync(context, "force") is not { } force
            || await editor.ExpectedAsync(context, DeclarationKinds.Endpoint, id) is not { } expected) return;
        AuditDetails.Set(context, DeclarationKinds.Endpoint.ToJson(watcher.Current.Find(id)?.Endpoint), null);
        if (watcher.Current.CanariesOf(id) is [var canary, ..])
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Endpoint '{canary.Endpoint.Id}' is a canary of endpoint '{id}'. Delete it first, or remove its "
                + "field canary.");
            return;
        }

        var change = await store.DeleteEndpointAsync(id, context.RequestAborted, dryRun: true, expected);
        if (change.Refusal == CatalogRefusal.None && !force
            && await deletions.OpenAsync(id, context.RequestAborted) is { All: > 0 } open)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Endpoint '{id}' has {open.Queued} queued and {open.Running} running jobs. "
                + $"Wait until they end, or cancel them with DELETE /api/v1/endpoints/{id}?force=true.");
            return;
        }

        if (change.Refusal == CatalogRefusal.None && !dryRun)
            change = await store.DeleteEndpointAsync(id, context.RequestAborted, expected: expected);
        // The endpoint is deleted, so the cancellation continues even if the client disconnects.
        var cancelled = change.Refusal != CatalogRefusal.None || dryRun ? default
            : await deletions.CancelAsync(id, CancellationToken.None);
        await AnswerAsync(context, change, "endpoint", id, dryRun, cancelled.All == 0 ? null
            : JsonSerializer.SerializeToNode(
                new DeletedEndpoint(id, cancelled), ManagementJson.Default.DeletedEndpoint)!.AsObject());
    }

    /// <summary>Writes the response to a deletion.</summary>
    private async Task AnswerAsync(HttpContext context, CatalogChange change, string kind, string name, bool dryRun,
        JsonObject? result = null)
    {
        if (change.Refusal != CatalogRefusal.None)
        {
            await DeclarationEditor.RefuseAsync(context, change, kind, name);
            return;
        }

        if (!dryRun) await watcher.RefreshAsync(context.RequestAborted);
        if (result is null) context.Response.StatusCode = StatusCodes.Status204NoContent;
        else await WriteAsync(context, result);
    }

    private JsonObject View(Template template)
    {
        var view = DeclarationKinds.Template.ToJson(template)!;
        view["origin"] = GetOrigin(watcher.State.Templates, template.Name);
        return view;
    }

    private async Task<JsonObject> ViewAsync(Deployment deployment, CancellationToken ct)
    {
        var id = deployment.Endpoint.Id;
        var view = DeclarationKinds.Endpoint.ToJson(deployment.Endpoint)!;
        view["origin"] = GetOrigin(watcher.State.Endpoints, id);
        var snapshot = await slots.SnapshotAsync(id, ct);
        var known = await pods.ListAsync(id, ct);
        var trouble = (await decisions.LatestAsync(id, ct))?.Trouble;
        var status = new EndpointStatus(
            known.GroupBy(GetState).ToDictionary(g => g.Key, g => g.Count()),
            snapshot.Queued,
            snapshot.Busy,
            snapshot.Completed,
            (await slots.WhyBlockedAsync(id, ct))?.Reason,
            trouble,
            RolloutView.From(known, PodFingerprint.Compute(deployment), trouble))
        {
            NoCapacity = deployment.Template.Gpu is not null && await gpus.WaitOfAsync(id, ct) is { } wait
                ? new MissingCapacity(wait.Workers, wait.Never, wait.Part, wait.Text) : null,
        };
        view["status"] = JsonSerializer.SerializeToNode(status, ManagementJson.Default.EndpointStatus);
        return view;
    }

    private static string GetOrigin(IReadOnlyDictionary<string, CatalogEntry> entries, string name) =>
        entries.GetValueOrDefault(name)?.Origin == Origin.Manifest ? "manifest" : "api";

    private static string GetState(Pod pod) => pod.State.ToString().ToLowerInvariant();

    private static Task WriteAsync(HttpContext context, JsonObject value) =>
        context.Response.WriteAsJsonAsync(value, context.RequestAborted);

    /// <summary>A worker and its slots.</summary>
    public sealed record WorkerView(string Id, string State, string Reason, string Host, int? ProcessId, string RunsAs,
        IReadOnlyList<string> Devices, long? ShareMiB, DateTimeOffset StartedAt, DateTimeOffset? ReadyAt,
        IReadOnlyList<StartStage> Stages, WorkerSlots? Slots, IReadOnlyList<string> LastOutput)
    {
        /// <summary>
        /// Whether the worker was started from an earlier declaration. It runs until its replacement is ready.
        /// </summary>
        public bool Outdated { get; init; }

        /// <summary>The GPUs and MIG slices that it reported when it was ready; empty: it did not say.</summary>
        public IReadOnlyList<ReportedDevice> ReportedDevices { get; init; } = [];

        /// <summary>The download of its model; null: it does not wait for one.</summary>
        public ModelTransfer? Download { get; init; }
    }

    /// <summary>
    /// The workers of an endpoint. <paramref name="Blocked"/> is the reason why no worker can start.
    /// <paramref name="NoCapacity"/> describes the workers that wait for devices.
    /// </summary>
    public sealed record WorkerList(IReadOnlyList<WorkerView> Workers, int Queued, double OldestWaitMs,
        BlockedStart? Blocked, GpuWait? NoCapacity,
        IReadOnlyList<ScalingDecisionRecord> Decisions)
    {
        /// <summary>The rollout in progress. Null if there is none.</summary>
        public RolloutView? Rollout { get; init; }
    }

    /// <summary>The body of a rollback: the id of a revision.</summary>
    public sealed record RollbackRequest(string Revision);

    /// <summary>The response to <c>GET /api/v1/templates</c>.</summary>
    public sealed record TemplateList(IReadOnlyList<Template> Templates);

    /// <summary>The response to <c>GET /api/v1/endpoints</c>.</summary>
    public sealed record EndpointList(IReadOnlyList<Endpoint> Endpoints);

    /// <summary>A deleted endpoint and the number of its cancelled jobs.</summary>
    public sealed record DeletedEndpoint(string Id, CancelledJobs CancelledJobs);

    /// <summary>The status of the manifest file.</summary>
    public sealed record ManifestView(string? Path, DateTimeOffset? AppliedAt, IReadOnlyList<string> Errors);
}
