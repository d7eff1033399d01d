using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Management;

/// <summary>
/// Changes declarations for the API: reads and checks a body, stores the result under the conditions of the request,
/// and writes the response.
/// </summary>
internal sealed class DeclarationEditor(CatalogStore store, CatalogWatcher watcher, EndpointDeletions deletions)
{
    /// <summary>How often a change of parts is computed again because another change came first.</summary>
    private const int MaxAttempts = 5;

    /// <summary>Read-only response fields. A client may send them back; they are ignored.</summary>
    private static readonly string[] ReadOnly = ["origin", "status"];

    /// <summary>Creates (<paramref name="id"/> is null) or replaces a declaration with the body.</summary>
    /// <param name="context">The request.</param>
    /// <param name="kind">The kind of the declaration.</param>
    /// <param name="id">The name in the path, or null.</param>
    /// <param name="view">Returns the response to a change that was made.</param>
    public async Task PutAsync<T>(
        HttpContext context, DeclarationKind<T> kind, string? id, Func<string, Task<JsonObject>> view)
        where T : class
    {
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun) return;
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        await watcher.RefreshAsync(context.RequestAborted);
        if (await ReadAsync(context, kind, id, body.Node, watcher.Current) is not { } value) return;
        var name = kind.IdOf(value);
        var (expected, create, error) = EntryTag.Check(
            context.Request, kind.Entries(watcher.State).GetValueOrDefault(name));
        if (error is not null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status412PreconditionFailed, error);
            return;
        }

        var condition = new PutCondition
        {
            Create = create || id is null, DryRun = dryRun, By = By(context), Expected = expected,
        };
        await AnswerAsync(context, kind, await StoreAsync(context, kind, value, condition), value, dryRun, view);
    }

    /// <summary>Changes the given fields of a declaration (RFC 7396); null gives a field its default.</summary>
    public async Task PatchAsync<T>(
        HttpContext context, DeclarationKind<T> kind, string id, Func<string, Task<JsonObject>> view)
        where T : class
    {
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun) return;
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        if (body.Node is not JsonObject patch)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                "The body is not a JSON object; expected the fields to change.");
            return;
        }

        foreach (var field in ReadOnly) patch.Remove(field);
        for (var attempt = 1; ; attempt++)
        {
            if (await CurrentAsync(context, kind, id) is not { } current) return;
            var patched = MergePatch.Apply(kind.ToJson(current.Value), patch);
            if (await ReadAsync(context, kind, id, patched, watcher.Current) is not { } value) return;
            var condition = new PutCondition { DryRun = dryRun, By = By(context), Expected = current.Tag };
            var change = await StoreAsync(context, kind, value, condition);
            var again = change.Refusal == CatalogRefusal.Changed && context.Request.Headers.IfMatch.Count == 0
                && attempt < MaxAttempts;
            if (again) continue;
            await AnswerAsync(context, kind, change, value, dryRun, view);
            return;
        }
    }

    /// <summary>Lists the last declarations of a name.</summary>
    public async Task RevisionsAsync<T>(HttpContext context, DeclarationKind<T> kind, string id)
        where T : class
    {
        if (kind.Find(watcher.Current, id) is null)
        {
            await NotFoundAsync(context, kind.Name, id);
            return;
        }

        await context.Response.WriteAsJsonAsync(
            new RevisionList(await kind.RevisionsAsync(store, id, context.RequestAborted)), context.RequestAborted);
    }

    /// <summary>Declares an earlier revision again: <c>{"revision": "ID"}</c>.</summary>
    public async Task RollbackAsync<T>(
        HttpContext context, DeclarationKind<T> kind, string id, Func<string, Task<JsonObject>> view)
        where T : class
    {
        if (await QueryFlag.ReadDryRunAsync(context) is not { } dryRun) return;
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        if (await CurrentAsync(context, kind, id) is not { } current) return;
        var revisions = await kind.RevisionsAsync(store, id, context.RequestAborted);
        var wanted = body.Node is JsonObject o ? o["revision"]?.ToString() : null;
        if (revisions.FirstOrDefault(r => r.Id == wanted) is not { } revision)
        {
            await JsonBody.RefuseAsync(context, [new FieldError("revision", wanted ?? "",
                $"one of {string.Join(", ", revisions.Select(r => r.Id))}")]);
            return;
        }

        if (await ReadAsync(context, kind, id, revision.Declaration, watcher.Current) is not { } value) return;
        var condition = new PutCondition { DryRun = dryRun, By = By(context), Expected = current.Tag };
        await AnswerAsync(context, kind, await StoreAsync(context, kind, value, condition), value, dryRun, view);
    }

    /// <summary>Checks the conditions of a deletion. Null: an error response was written.</summary>
    public async Task<string?> ExpectedAsync<T>(HttpContext context, DeclarationKind<T> kind, string id)
        where T : class
    {
        if (context.Request.Headers.IfMatch.Count == 0) return "";
        return await CurrentAsync(context, kind, id) is { } current ? current.Tag : null;
    }

    /// <summary>Writes a 404 response.</summary>
    public static Task NotFoundAsync(HttpContext context, string kind, string id) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, NotFoundText(kind, id));

    /// <summary>Writes the response to a rejected change.</summary>
    public static Task RefuseAsync(HttpContext context, CatalogChange change, string kind, string id)
    {
        var (status, detail) = DescribeRefusal(change, kind, id);
        return Problem.WriteAsync(context, status, detail);
    }

    /// <summary>Returns who changes a declaration: the id of the key.</summary>
    internal static string By(HttpContext context) => context.Admission().Caller?.KeyId ?? "";

    /// <summary>
    /// Returns a declaration and its tag as they are now, if they satisfy the conditions of the request. Null: an error
    /// response was written.
    /// </summary>
    private async Task<(T Value, string Tag)?> CurrentAsync<T>(HttpContext context, DeclarationKind<T> kind, string id)
        where T : class
    {
        await watcher.RefreshAsync(context.RequestAborted);
        var state = watcher.State;
        var entry = kind.Entries(state).GetValueOrDefault(id);
        if (entry is null || kind.Find(state.Catalog, id) is not { } value)
        {
            await NotFoundAsync(context, kind.Name, id);
            return null;
        }

        if (EntryTag.Check(context.Request, entry).Error is not { } error) return (value, entry.Tag);
        await Problem.WriteAsync(context, StatusCodes.Status412PreconditionFailed, error);
        return null;
    }

    /// <summary>
    /// Reads and checks a declaration. It may omit the name that the path contains. Null: an error response was
    /// written.
    /// </summary>
    private static async Task<T?> ReadAsync<T>(
        HttpContext context, DeclarationKind<T> kind, string? id, JsonNode? node, EndpointCatalog catalog)
        where T : class
    {
        var errors = new List<FieldError>();
        if (node is JsonObject given)
        {
            foreach (var field in ReadOnly) given.Remove(field);
            if (id is not null && !given.ContainsKey(kind.IdField)) given[kind.IdField] = id;
            if (id is not null && given[kind.IdField]?.ToString() != id)
                errors.Add(new FieldError(
                    kind.IdField, given[kind.IdField]?.ToJsonString() ?? "null", $"\"{id}\", as in the path"));
        }

        var value = DeclarationSerializer.Read(node, kind.Type, "", errors);
        if (value is not null) errors.AddRange(kind.Check(value, catalog));
        if (value is not null && errors.Count == 0) return value;
        await JsonBody.RefuseAsync(context, errors);
        return null;
    }

    private async Task<CatalogChange> StoreAsync<T>(
        HttpContext context, DeclarationKind<T> kind, T value, PutCondition condition)
        where T : class
    {
        var id = kind.IdOf(value);
        AuditDetails.Set(context, kind.ToJson(kind.Find(watcher.Current, id)), kind.ToJson(value), kind.PathOf(id));
        var change = await kind.PutAsync(store, value, condition, context.RequestAborted);
        if (change.Refusal != CatalogRefusal.Deleting) return change;
        await deletions.MakeFreeAsync(id, context.RequestAborted);
        return await kind.PutAsync(store, value, condition, context.RequestAborted);
    }

    private async Task AnswerAsync<T>(HttpContext context, DeclarationKind<T> kind, CatalogChange change, T value,
        bool dryRun, Func<string, Task<JsonObject>> view)
        where T : class
    {
        var id = kind.IdOf(value);
        if (change.Refusal != CatalogRefusal.None)
        {
            await RefuseAsync(context, change, kind.Name, id);
            return;
        }

        var response = context.Response;
        if (dryRun)
        {
            await response.WriteAsJsonAsync(kind.ToJson(value)!, context.RequestAborted);
            return;
        }

        await watcher.RefreshAsync(context.RequestAborted);
        EntryTag.Set(response, kind.Entries(watcher.State).GetValueOrDefault(id));
        if (change.Created)
        {
            response.StatusCode = StatusCodes.Status201Created;
            response.Headers.Location = kind.PathOf(id);
        }

        await response.WriteAsJsonAsync(await view(id), context.RequestAborted);
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
        CatalogRefusal.Changed => (412, $"Another request changed the {kind} '{name}'. Read it again."),
        CatalogRefusal.Unknown => (404, NotFoundText(kind, name)),
        _ => throw new ArgumentOutOfRangeException(nameof(change), change.Refusal, null),
    };

    private static string NotFoundText(string kind, string name) => $"The {kind} '{name}' does not exist.";

    /// <summary>The response to <c>GET .../revisions</c>, the newest first.</summary>
    public sealed record RevisionList(IReadOnlyList<Revision> Revisions);
}
