using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Usage;
using Sluice.Storage.Catalog;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/keys</c>: creates, lists, changes and revokes API keys. Only the response that creates a key contains its
/// text. <c>/api/v1/key</c>: a key reads itself.
/// </summary>
public sealed class KeysApi(
    KeyStore store, ApiKeyCache keys, CatalogWatcher catalog, RateLimits limits, TokenWindow tokens, UsageReader usage,
    TimeProvider time)
{
    /// <summary>The other admin keys of which one must still exist when an admin key is deleted.</summary>
    private const int Witnesses = 100;

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/keys", AccessLevel.Read,
            "List keys without their text, oldest first; ?limit= (default 100, at most 1000), ?cursor= (next of the "
            + "previous response)", ListAsync).Produces<KeyList>();
        routes.MapRoute("GET", "/api/v1/keys/{id}", AccessLevel.Read, "Get a key without its text",
            async (HttpContext context, string id) =>
            {
                var key = await store.FindAsync(id, context.RequestAborted);
                await (key is null ? NotFoundAsync(context, id) : WriteAsync(context, key));
            }).Produces<KeyView>();
        routes.MapRoute("POST", "/api/v1/keys", AccessLevel.Admin, "Create a key; only this response contains its text",
            CreateAsync).AcceptsJson<KeyRequest>().Produces<NewKey>(StatusCodes.Status201Created);
        routes.MapRoute("PATCH", "/api/v1/keys/{id}", AccessLevel.Admin,
            "Change the given fields of a key; all gateways apply them within 2 s", ChangeAsync)
            .AcceptsJson<KeyRequest>().Produces<KeyView>();
        routes.MapRoute("DELETE", "/api/v1/keys/{id}", AccessLevel.Admin,
            "Revoke a key; all gateways reject it within 2 s. 409 for the last admin key", DeleteAsync)
            .Produces(StatusCodes.Status204NoContent);
        routes.MapRoute("GET", "/api/v1/key", AccessLevel.AuthenticatedKey,
            "Get the key of this request, what its limits allow now, and its usage of this month", SelfAsync)
            .Produces<OwnKey>();
    }

    private async Task ListAsync(HttpContext context)
    {
        var ct = context.RequestAborted;
        if (await Paging.LimitAsync(context) is not { } limit) return;
        KeyCursor? after = null;
        if (context.Request.Query["cursor"] is [{ Length: > 0 } text])
        {
            if (!KeyCursor.TryParse(text, out var cursor))
            {
                await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                    $"cursor is '{text}'; expected the value of 'next' in an earlier response.");
                return;
            }

            after = cursor;
        }

        await keys.RefreshAsync(ct);
        // One key more than the page size shows whether another page follows.
        var found = keys.List(after, limit + 1);
        var next = found.Count > limit ? KeyCursor.FromKey(found[limit - 1]).ToString() : null;
        var page = found.Take(limit).ToList();
        var uses = await store.LastUsesAsync([.. page.Select(k => k.Id)], ct);
        await context.Response.WriteAsJsonAsync(
            new KeyList([.. page.Zip(uses, KeyView.From)], next), ct);
    }

    private async Task CreateAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var (id, text) = ApiKeyFormat.New();
        var empty = new ApiKey
        {
            Id = id,
            Hash = ApiKeyFormat.Hash(text),
            Last4 = text[^4..],
            Scope = new KeyScope(),
            CreatedAt = time.GetUtcNow(),
        };
        if (await ReadAsync(context, body, empty, isNew: true) is not { } record) return;
        await store.AddAsync(record, context.RequestAborted);
        await keys.RefreshAsync(context.RequestAborted);
        AuditDetails.Set(context, null, AuditView(record), $"/api/v1/keys/{id}");
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"/api/v1/keys/{id}";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(
            new NewKey(text, KeyView.From(record, null)), context.RequestAborted);
    }

    /// <summary>
    /// Changes the given fields. If another request changes the key concurrently, the fields are changed in its record,
    /// so that neither request loses one.
    /// </summary>
    private async Task ChangeAsync(HttpContext context, string id)
    {
        var ct = context.RequestAborted;
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        while (await store.FindStoredAsync(id, ct) is { } stored)
        {
            if (await ReadAsync(context, body, stored.Key, isNew: false) is not { } record) return;
            var written = await store.ReplaceAsync(stored, record, ct);
            if (written == KeyWrite.Changed) continue;
            if (written == KeyWrite.NoSuchKey) break;
            await keys.RefreshAsync(ct);
            AuditDetails.Set(context, AuditView(stored.Key), AuditView(record));
            await WriteAsync(context, record);
            return;
        }

        await NotFoundAsync(context, id);
    }

    /// <summary>Reads the fields of a key. Null: an error response was written.</summary>
    private async Task<ApiKey?> ReadAsync(HttpContext context, JsonBody body, ApiKey current, bool isNew)
    {
        var (record, allowUnknown, errors) = KeyFields.Read(body.Node, current, isNew, time.GetUtcNow());
        if (errors.Count == 0 && !allowUnknown)
            await CheckEndpointsAsync(record.Scope.Invoke, current.Scope.Invoke, errors, context.RequestAborted);
        if (errors.Count == 0) return record;
        await JsonBody.RefuseAsync(context, errors);
        return null;
    }

    /// <summary>
    /// Checks that the endpoints exist. Otherwise a misspelled id causes a 403 only when the key is used.
    /// </summary>
    private async Task CheckEndpointsAsync(
        IReadOnlyList<string> ids, IReadOnlyList<string> known, List<FieldError> errors, CancellationToken ct)
    {
        for (var i = 0; i < ids.Count; i++)
        {
            var id = ids[i];
            if (id == "*" || known.Contains(id) || await catalog.FindAsync(id, ct) is not null) continue;
            var nearest = EditDistance.Nearest(id, catalog.Current.Deployments.Select(d => d.Endpoint.Id));
            errors.Add(new FieldError($"invoke[{i}]", id,
                "the id of a declared endpoint" + (nearest is null ? "" : $" (did you mean {nearest}?)")
                + "; set allowUnknown to true if it is declared later"));
        }
    }

    private async Task DeleteAsync(HttpContext context, string id)
    {
        var ct = context.RequestAborted;
        await keys.RefreshAsync(ct);
        var record = keys.FindRecord(id);
        var others = record is { Scope.Admin: true }
            ? keys.OtherAdmins(id, time.GetUtcNow(), Witnesses)
            : null;
        switch (await store.RevokeAsync(id, ct, others))
        {
            case KeyWrite.NoSuchKey:
                await NotFoundAsync(context, id);
                return;
            case KeyWrite.LastKey:
                await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                    $"Key '{id}' is the last admin key, and the gateway cannot be managed without one. Create another "
                    + "admin key first.");
                return;
        }

        await keys.RefreshAsync(ct);
        AuditDetails.Set(context, record is null ? null : AuditView(record), null);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private async Task SelfAsync(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(
            await ReadOwnAsync(context.Admission().Caller!, context.RequestAborted), context.RequestAborted);
    }

    /// <summary>Returns the key of a request, and what its limits allow now.</summary>
    internal async Task<OwnKey> ReadOwnAsync(Caller caller, CancellationToken ct)
    {
        var own = caller.Limits;
        var record = keys.FindRecord(caller.KeyId);
        var (requests, whole, running) = own.Any ? await limits.ReadAsync(caller.KeyId, own, ct) : default;
        var (left, full) = own.TokensPerMinute > 0
            ? await tokens.ReadAsync(caller.KeyId, own.TokensPerMinute, ct)
            : default;
        return new OwnKey(
            caller.KeyId, caller.Name, record?.Last4, caller.Scope, record?.Tags ?? KeyView.NoTags,
            record?.CreatedAt, record?.ExpiresAt, own,
            new RemainingLimits(
                own.RequestsPerMinute > 0 ? new RemainingUnits(requests, (long)whole.TotalMilliseconds) : null,
                own.TokensPerMinute > 0 ? new RemainingUnits(left, (long)full.TotalMilliseconds) : null,
                own.Concurrent > 0 ? Math.Max(0, own.Concurrent - running) : null),
            await usage.ReadMonthAsync(caller.KeyId, ct));
    }

    private async Task WriteAsync(HttpContext context, ApiKey key)
    {
        var ct = context.RequestAborted;
        await context.Response.WriteAsJsonAsync(KeyView.From(key, (await store.LastUsesAsync([key.Id], ct))[0]), ct);
    }

    private static JsonObject AuditView(ApiKey key) =>
        JsonSerializer.SerializeToNode(KeyView.From(key, null), ManagementJson.Default.KeyView)!.AsObject();

    private static Task NotFoundAsync(HttpContext context, string id) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The key '{id}' does not exist.");

    /// <summary>
    /// A key without its text. <paramref name="Last4"/> are its last four characters, which identify it to people.
    /// <paramref name="LastUsedAt"/> may be late by <see cref="KeyUseRecorder.Interval"/>; null: never.
    /// </summary>
    public sealed record KeyView(string Id, string Name, string Last4, KeyScope Scope,
        IReadOnlyDictionary<string, string> Tags, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt,
        DateTimeOffset? LastUsedAt, KeyLimits Limits)
    {
        internal static readonly IReadOnlyDictionary<string, string> NoTags = new Dictionary<string, string>();

        internal static KeyView From(ApiKey k, DateTimeOffset? lastUsedAt) => new(k.Id, k.Name, k.Last4, k.Scope,
            k.Tags, k.CreatedAt, k.ExpiresAt, lastUsedAt, k.Limits ?? KeyLimits.None);
    }

    /// <summary>
    /// A page of the list. <paramref name="Next"/> is the cursor of the next page, and null on the last page.
    /// </summary>
    public sealed record KeyList(IReadOnlyList<KeyView> Keys, string? Next);

    /// <summary>A new key. <paramref name="Key"/> is its text, which no other response contains.</summary>
    public sealed record NewKey(string Key, KeyView Record);

    /// <summary>
    /// The key of a request. <paramref name="Last4"/> and <paramref name="CreatedAt"/> are null for the admin key of
    /// the environment, which has no record.
    /// </summary>
    public sealed record OwnKey(string Id, string Name, string? Last4, KeyScope Scope,
        IReadOnlyDictionary<string, string> Tags, DateTimeOffset? CreatedAt, DateTimeOffset? ExpiresAt,
        KeyLimits Limits, RemainingLimits Remaining, KeyUsage Usage);

    /// <summary>
    /// What the limits of a key allow now. Null: there is no such limit. <paramref name="Concurrent"/>: further
    /// concurrent requests.
    /// </summary>
    public sealed record RemainingLimits(RemainingUnits? Requests, RemainingUnits? Tokens, long? Concurrent);

    /// <summary>
    /// What is left of a limit per minute. <paramref name="WholeInMs"/>: the time until the whole limit is left.
    /// </summary>
    public sealed record RemainingUnits(long Left, long WholeInMs);
}
