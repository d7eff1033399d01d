using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/declarations</c>: all templates and endpoints as one manifest. Exports them, and applies a manifest,
/// whole or not at all. Unlike the manifest file of a gateway, an applied manifest deletes nothing.
/// </summary>
internal sealed class DeclarationsApi(CatalogStore store, CatalogWatcher watcher, EndpointDeletions deletions)
{
    private const string YamlType = "application/yaml";

    /// <summary>Maximum size of a manifest; it may have thousands of endpoints.</summary>
    private const int MaxBytes = 16 << 20;

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/declarations", AccessLevel.Read,
            "Export all templates and endpoints as a manifest; ?format=yaml (default) or json", ExportAsync);
        routes.MapRoute("POST", "/api/v1/declarations", AccessLevel.Admin,
            "Apply a manifest: create or replace its templates and endpoints, all or none; ?dryRun=true reports every "
            + "error and what would change", ApplyAsync)
            .AcceptsJson<ManifestRequest>().Produces<AppliedManifest>();
    }

    private Task ExportAsync(HttpContext context)
    {
        var manifest = new JsonObject
        {
            ["templates"] = new JsonArray([.. watcher.Current.Templates.Values
                .OrderBy(t => t.Name, StringComparer.Ordinal).Select(DeclarationKinds.Template.ToJson)]),
            ["endpoints"] = new JsonArray([.. watcher.Current.Deployments.Select(d => d.Endpoint)
                .OrderBy(e => e.Id, StringComparer.Ordinal).Select(DeclarationKinds.Endpoint.ToJson)]),
        };
        var format = context.Request.Query["format"];
        if (format == "json") return context.Response.WriteAsJsonAsync(manifest, context.RequestAborted);
        if (format.Count > 0 && format != "yaml")
            return Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"format is '{format}'; expected yaml or json.");
        context.Response.ContentType = YamlType;
        return context.Response.WriteAsync(ManifestText.Write(manifest), context.RequestAborted);
    }

    private async Task ApplyAsync(HttpContext context)
    {
        var ct = context.RequestAborted;
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun
            || await ReadAsync(context) is not { } request) return;
        await watcher.RefreshAsync(ct);
        var state = watcher.State;
        var (file, errors) = Manifest.Parse(
            request.Manifest, name => request.Variables?.GetValueOrDefault(name), state.Catalog);
        if (file is null)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        var after = Merge(state.Catalog, file);
        var changes = DeclarationChanges.Between(state.Catalog, after).ToList();
        var owned = changes.Select(c => c.Target).Where(t => IsOfManifest(state, t)).ToList();
        if (owned.Count > 0)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"The manifest file of the gateway declares {string.Join(", ", owned)} differently. Change it there.");
            return;
        }

        // Before the change: the client may leave before its end.
        SetAudit(context, changes);
        if (!dryRun && changes.Count > 0 && !await StoreAsync(context, file)) return;
        var unchanged = file.Templates.Count + file.Endpoints.Count - changes.Count;
        await context.Response.WriteAsJsonAsync(new AppliedManifest(dryRun, unchanged,
            [.. changes.Select(c => AppliedChange.From(c.Target, c.Before, c.After))]), ct);
    }

    /// <summary>Stores the declarations. False: an error response was written.</summary>
    private async Task<bool> StoreAsync(HttpContext context, ManifestFile file)
    {
        var (ct, by) = (context.RequestAborted, DeclarationEditor.By(context));
        var change = await store.ApplyAsync(file, by, ct);
        for (var more = file.Endpoints.Count; change.Refusal == CatalogRefusal.Deleting && more > 0; more--)
        {
            await deletions.MakeFreeAsync(change.Name, ct);
            change = await store.ApplyAsync(file, by, ct);
        }

        if (change.Refusal != CatalogRefusal.None)
        {
            var kind = file.Endpoints.Any(e => e.Id == change.Name) ? "endpoint" : "template";
            await DeclarationEditor.RefuseAsync(context, change, kind, change.Name);
            return false;
        }

        await watcher.RefreshAsync(ct);
        return true;
    }

    /// <summary>Returns the catalog after a manifest was applied.</summary>
    private static EndpointCatalog Merge(EndpointCatalog catalog, ManifestFile file) => new(
        catalog.Templates.Values.ExceptBy(file.Templates.Select(t => t.Name), t => t.Name).Concat(file.Templates),
        catalog.Deployments.Select(d => d.Endpoint).ExceptBy(file.Endpoints.Select(e => e.Id), e => e.Id)
            .Concat(file.Endpoints));

    private static bool IsOfManifest(CatalogState state, string target)
    {
        var name = target[(target.LastIndexOf('/') + 1)..];
        var entries = target.StartsWith("/api/v1/templates/", StringComparison.Ordinal)
            ? state.Templates : state.Endpoints;
        return entries.GetValueOrDefault(name)?.Origin == Origin.Manifest;
    }

    /// <summary>The audit entry has all changed declarations by path.</summary>
    private static void SetAudit(
        HttpContext context, IReadOnlyList<(string Target, JsonObject? Before, JsonObject? After)> changes) =>
        AuditDetails.Set(context,
            new JsonObject(changes.Select(c => KeyValuePair.Create(c.Target, c.Before?.DeepClone()))),
            new JsonObject(changes.Select(c => KeyValuePair.Create(c.Target, c.After?.DeepClone()))));

    /// <summary>
    /// Reads a manifest: the text itself with a YAML content type, otherwise JSON with the text and variables, or JSON
    /// with the sections of a manifest. Null: an error response was written.
    /// </summary>
    private static async Task<ManifestRequest?> ReadAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = MaxBytes;
        if (context.Request.ContentType?.Contains("yaml", StringComparison.OrdinalIgnoreCase) == true)
        {
            try
            {
                using var reader = new StreamReader(context.Request.Body);
                return new ManifestRequest(await reader.ReadToEndAsync(context.RequestAborted));
            }
            catch (BadHttpRequestException e)
            {
                await Problem.WriteAsync(context, e.StatusCode, e.Message);
                return null;
            }
        }

        if (await JsonBody.ReadAsync(context) is not { } body) return null;
        if (body.Node is not JsonObject given || !given.ContainsKey("manifest"))
            return new ManifestRequest(body.Node?.ToJsonString() ?? "");
        try
        {
            if (given.Deserialize(ManagementJson.Default.ManifestRequest) is { Manifest: not null } request)
                return request;
        }
        catch (JsonException)
        {
            // The error follows.
        }

        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "The body is not valid; expected "
            + "{\"manifest\": \"TEXT\", \"variables\": {\"NAME\": \"VALUE\"}}.");
        return null;
    }

    /// <summary>A manifest to apply.</summary>
    /// <param name="Manifest">The text, YAML or JSON.</param>
    /// <param name="Variables">The values of the variables in the text, by name; null: there are none.</param>
    public sealed record ManifestRequest(string Manifest, IReadOnlyDictionary<string, string>? Variables = null);

    /// <summary>What a manifest changed, or would change.</summary>
    /// <param name="DryRun">Whether nothing was changed.</param>
    /// <param name="Unchanged">Number of its declarations that are as before.</param>
    /// <param name="Changes">The changed declarations.</param>
    public sealed record AppliedManifest(bool DryRun, int Unchanged, IReadOnlyList<AppliedChange> Changes);
}
