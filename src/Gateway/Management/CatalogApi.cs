using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
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
    /// <summary>Read-only response fields. A client may send them back; they are ignored.</summary>
    private static readonly string[] ReadOnly = ["origin", "status"];

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/templates", AccessLevel.Read, "List templates",
            (HttpContext context) => WriteAsync(context, new JsonObject
        {
            ["templates"] = new JsonArray(
                [.. watcher.Current.Templates.Values.OrderBy(t => t.Name, StringComparer.Ordinal).Select(View)]),
        })).Produces<TemplateList>();
        routes.MapRoute("GET", "/api/v1/templates/{name}", AccessLevel.Read, "Get a template",
            (HttpContext context, string name) => watcher.Current.Templates.TryGetValue(name, out var t)
                ? WriteAsync(context, View(t)) : NotFoundAsync(context, "template", name))
            .Produces<Template>();
        routes.MapRoute("POST", "/api/v1/templates", AccessLevel.Admin, "Create a template; 409 if the name exists",
            (HttpContext context) => PutTemplateAsync(context, null)).AcceptsJson<Template>().Produces<Template>(201);
        routes.MapRoute("PUT", "/api/v1/templates/{name}", AccessLevel.Admin, "Create or replace a template",
            (HttpContext context, string name) => PutTemplateAsync(context, name))
            .AcceptsJson<Template>().Produces<Template>();
        routes.MapRoute("DELETE", "/api/v1/templates/{name}", AccessLevel.Admin,
            "Delete a template; 409 if an endpoint uses it",
            (HttpContext context, string name) => DeleteAsync(context, "template", name, store.DeleteTemplateAsync))
            .Produces(204);

        routes.MapRoute("GET", "/api/v1/endpoints", AccessLevel.Read, "List endpoints with their status", ListAsync)
            .Produces<EndpointList>();
        routes.MapRoute("GET", "/api/v1/endpoints/{id}", AccessLevel.Read, "Get an endpoint with its status",
            async (HttpContext context, string id) => await (watcher.Current.Find(id) is { } d
                ? WriteAsync(context, await ViewAsync(d, context.RequestAborted))
                : NotFoundAsync(context, "endpoint", id)))
            .Produces<Endpoint>();
        routes.MapRoute("POST", "/api/v1/endpoints", AccessLevel.Admin, "Create an endpoint; 409 if the id exists",
            (HttpContext context) => PutEndpointAsync(context, null)).AcceptsJson<Endpoint>().Produces<Endpoint>(201);
        routes.MapRoute("PUT", "/api/v1/endpoints/{id}", AccessLevel.Admin, "Create or replace an endpoint",
            (HttpContext context, string id) => PutEndpointAsync(context, id))
            .AcceptsJson<Endpoint>().Produces<Endpoint>();
        routes.MapRoute("DELETE", "/api/v1/endpoints/{id}", AccessLevel.Admin,
            "Delete an endpoint, and drain and stop its workers; "
                + "409 if jobs are queued or running, unless ?force=true cancels them",
            DeleteEndpointAsync).Produces(204).Produces<DeletedEndpoint>();
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

    private async Task ListAsync(HttpContext context)
    {
        var all = new JsonArray();
        foreach (var d in watcher.Current.Deployments.OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal))
            all.Add(await ViewAsync(d, context.RequestAborted));
        await WriteAsync(context, new JsonObject { ["endpoints"] = all });
    }

    private async Task WorkersAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (watcher.Current.Find(id) is not { } deployment)
        {
            await NotFoundAsync(context, "endpoint", id);
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
            await NotFoundAsync(context, "endpoint", id);
            return;
        }

        await context.Response.WriteAsJsonAsync(await decisions.ReadAsync(id, context.RequestAborted),
            context.RequestAborted);
    }

    private async Task PutTemplateAsync(HttpContext context, string? name)
    {
        if (await DryRunAsync(context) is not { } dryRun) return;
        var (template, errors) = await ReadAsync(context, DeclarationJson.Template, "name", name);
        if (errors is null) return;
        if (template is not null) errors.AddRange(EndpointRules.Check(template, ""));
        if (template is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        AuditDetails.Set(context, AuditView(watcher.Current.Templates.GetValueOrDefault(template.Name)),
            AuditView(template), $"/api/v1/templates/{template.Name}");
        var change = await store.PutAsync(template, context.RequestAborted, create: name is null, dryRun);
        await AnswerAsync(context, change, "template", template.Name, dryRun, () => Task.FromResult(View(template)));
    }

    private async Task PutEndpointAsync(HttpContext context, string? id)
    {
        if (await DryRunAsync(context) is not { } dryRun) return;
        var (endpoint, errors) = await ReadAsync(context, DeclarationJson.Endpoint, "id", id);
        if (errors is null) return;
        var catalog = watcher.Current;
        if (endpoint is not null)
            errors.AddRange(EndpointRules.Check(endpoint, "", [.. catalog.Templates.Keys],
                [.. catalog.Deployments.Select(d => d.Endpoint)]));
        if (endpoint is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        AuditDetails.Set(context, AuditView(catalog.Find(endpoint.Id)?.Endpoint), AuditView(endpoint),
            $"/api/v1/endpoints/{endpoint.Id}");
        var change = await store.PutAsync(endpoint, context.RequestAborted, create: id is null, dryRun);
        if (change.Refusal == CatalogRefusal.Deleting)
        {
            await deletions.MakeFreeAsync(endpoint.Id, context.RequestAborted);
            change = await store.PutAsync(endpoint, context.RequestAborted, create: id is null, dryRun);
        }

        await AnswerAsync(context, change, "endpoint", endpoint.Id, dryRun, () => dryRun
            ? Task.FromResult(JsonSerializer.SerializeToNode(endpoint, DeclarationJson.Endpoint)!.AsObject())
            : ViewAsync(watcher.Current.Find(endpoint.Id)!, context.RequestAborted));
    }

    /// <summary>
    /// Reads a declaration from the body. The body may omit the name, because the path contains it. If the returned
    /// errors are null, an error response was written.
    /// </summary>
    private static async Task<(T? Value, List<FieldError>? Errors)> ReadAsync<T>(HttpContext context,
        JsonTypeInfo<T> type,
        string nameField, string? name)
        where T : class
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return (null, null);
        var errors = new List<FieldError>();
        if (body.Node is JsonObject given)
        {
            foreach (var field in ReadOnly) given.Remove(field);
            if (name is not null && !given.ContainsKey(nameField)) given[nameField] = name;
            if (name is not null && given[nameField]?.ToString() != name)
                errors.Add(new FieldError(nameField, given[nameField]!.ToJsonString(), $"\"{name}\", as in the path"));
        }

        return (DeclarationSerializer.Read(body.Node, type, "", errors), errors);
    }

    private async Task DeleteAsync(HttpContext context, string kind, string name,
        Func<string, CancellationToken, bool, Task<CatalogChange>> delete)
    {
        if (await DryRunAsync(context) is not { } dryRun) return;
        AuditDetails.Set(context, AuditView(watcher.Current.Templates.GetValueOrDefault(name)), null);
        await AnswerAsync(context, await delete(name, context.RequestAborted, dryRun), kind, name, dryRun);
    }

    /// <summary>
    /// Deletes an endpoint. Accepted jobs are not cancelled silently: an endpoint with queued or running jobs is only
    /// deleted with <c>?force=true</c>.
    /// </summary>
    private async Task DeleteEndpointAsync(HttpContext context, string id)
    {
        if (await DryRunAsync(context) is not { } dryRun || await FlagAsync(context, "force") is not { } force) return;
        AuditDetails.Set(context, AuditView(watcher.Current.Find(id)?.Endpoint), null);
        var change = await store.DeleteEndpointAsync(id, context.RequestAborted, dryRun: true);
        if (change.Refusal == CatalogRefusal.None && !force
            && await deletions.OpenAsync(id, context.RequestAborted) is { All: > 0 } open)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Endpoint '{id}' has {open.Queued} queued and {open.Running} running jobs. "
                + $"Wait until they end, or cancel them with DELETE /api/v1/endpoints/{id}?force=true.");
            return;
        }

        if (change.Refusal == CatalogRefusal.None && !dryRun)
            change = await store.DeleteEndpointAsync(id, context.RequestAborted);
        // The endpoint is deleted, so the cancellation continues even if the client disconnects.
        var cancelled = change.Refusal != CatalogRefusal.None || dryRun ? default
            : await deletions.CancelAsync(id, CancellationToken.None);
        await AnswerAsync(context, change, "endpoint", id, dryRun, cancelled.All == 0 ? null : () => Task.FromResult(
            JsonSerializer.SerializeToNode(new DeletedEndpoint(id, cancelled), ManagementJson.Default.DeletedEndpoint)!
                .AsObject()));
    }

    /// <summary>
    /// Reads <c>?dryRun=true</c>, which checks a change without making it. Null: an error response was written.
    /// </summary>
    private static Task<bool?> DryRunAsync(HttpContext context) => FlagAsync(context, "dryRun");

    private static async Task<bool?> FlagAsync(HttpContext context, string name)
    {
        var given = context.Request.Query[name];
        if (given.Count == 0 || given == "false") return false;
        if (given == "true") return true;
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"{name} is '{given}'; expected true or false.");
        return null;
    }

    private async Task AnswerAsync(HttpContext context, CatalogChange change, string kind, string name, bool dryRun,
        Func<Task<JsonObject>>? view = null)
    {
        if (change.Refusal != CatalogRefusal.None)
        {
            var (status, detail) = DescribeRefusal(change, kind, name);
            await Problem.WriteAsync(context, status, detail);
            return;
        }

        if (!dryRun) await watcher.RefreshAsync(context.RequestAborted);
        var created = change.Created && !dryRun;
        context.Response.StatusCode = view is null ? 204 : created ? 201 : 200;
        if (created) context.Response.Headers.Location = $"/api/v1/{kind}s/{name}";
        if (view is not null) await WriteAsync(context, await view());
    }

    private static (int Status, string Detail) DescribeRefusal(CatalogChange change, string kind, string name) =>
        change.Refusal switch
    {
        CatalogRefusal.OwnedByManifest => (409, $"The manifest declares {kind} '{name}'. Change it in the manifest."),
        CatalogRefusal.NoTemplate => (409, $"The template of {kind} '{name}' no longer exists. Create it, or use "
            + "another template."),
        CatalogRefusal.InUse => (409, $"Endpoint '{change.Name}' uses {kind} '{name}'. Delete the endpoint first."),
        CatalogRefusal.Deleting => (409, $"The {kind} '{name}' was deleted while this request declared it. Send the "
            + "request again."),
        CatalogRefusal.Exists => (409, $"The {kind} '{name}' already exists. Replace it with PUT "
            + $"/api/v1/{kind}s/{name}."),
        CatalogRefusal.Unknown => (404, NotFoundText(kind, name)),
        _ => throw new ArgumentOutOfRangeException(nameof(change), change.Refusal, null),
    };

    private static JsonObject? AuditView(Template? template) => template is null
        ? null
        : JsonSerializer.SerializeToNode(template, DeclarationJson.Template)!.AsObject();

    private static JsonObject? AuditView(Endpoint? endpoint) => endpoint is null
        ? null
        : JsonSerializer.SerializeToNode(endpoint, DeclarationJson.Endpoint)!.AsObject();

    private JsonObject View(Template template)
    {
        var view = JsonSerializer.SerializeToNode(template, DeclarationJson.Template)!.AsObject();
        view["origin"] = GetOrigin(watcher.State.TemplateOrigins, template.Name);
        return view;
    }

    private async Task<JsonObject> ViewAsync(Deployment deployment, CancellationToken ct)
    {
        var id = deployment.Endpoint.Id;
        var view = JsonSerializer.SerializeToNode(deployment.Endpoint, DeclarationJson.Endpoint)!.AsObject();
        view["origin"] = GetOrigin(watcher.State.EndpointOrigins, id);
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

    private static string GetOrigin(IReadOnlyDictionary<string, Origin> origins, string name) =>
        origins.GetValueOrDefault(name) == Origin.Manifest ? "manifest" : "api";

    private static string GetState(Pod pod) => pod.State.ToString().ToLowerInvariant();

    private static Task WriteAsync(HttpContext context, JsonObject value) =>
        context.Response.WriteAsJsonAsync(value, context.RequestAborted);

    private static Task NotFoundAsync(HttpContext context, string kind, string name) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, NotFoundText(kind, name));

    private static string NotFoundText(string kind, string name) => $"The {kind} '{name}' does not exist.";

    /// <summary>A worker and its slots.</summary>
    public sealed record WorkerView(string Id, string State, string Reason, string Host, int? ProcessId, string RunsAs,
        IReadOnlyList<string> Devices, long? ShareMiB, DateTimeOffset StartedAt, DateTimeOffset? ReadyAt,
        IReadOnlyList<StartStage> Stages, WorkerSlots? Slots, IReadOnlyList<string> LastOutput)
    {
        /// <summary>
        /// Whether the worker was started from an earlier declaration. It runs until its replacement is ready.
        /// </summary>
        public bool Outdated { get; init; }

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

    /// <summary>The response to <c>GET /api/v1/templates</c>.</summary>
    public sealed record TemplateList(IReadOnlyList<Template> Templates);

    /// <summary>The response to <c>GET /api/v1/endpoints</c>.</summary>
    public sealed record EndpointList(IReadOnlyList<Endpoint> Endpoints);

    /// <summary>A deleted endpoint and the number of its cancelled jobs.</summary>
    public sealed record DeletedEndpoint(string Id, CancelledJobs CancelledJobs);

    /// <summary>The status of the manifest file.</summary>
    public sealed record ManifestView(string? Path, DateTimeOffset? AppliedAt, IReadOnlyList<string> Errors);
}
