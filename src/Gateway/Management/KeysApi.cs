using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/keys</c>: creates, lists and revokes API keys. Only the response that creates a key contains its text.
/// </summary>
public static class KeysApi
{
    /// <summary>Maximum length of a key name, in characters.</summary>
    private const int MaxName = 100;

    /// <summary>Maximum of jobBytes: 1 TiB, the same as of <c>jobs.maxKeyBytes</c>.</summary>
    private const long MaxJobBytes = 1L << 40;

    /// <summary>Maximum of tokensPerMinute: more than a cluster of GPUs generates.</summary>
    private const long MaxTokensPerMinute = 1_000_000_000;

    private static readonly string[] Fields = ["name", "admin", "invoke", "expiresAt", "requestsPerMinute", "burst",
        "tokensPerMinute", "concurrent", "queued", "jobBytes", "weight", "allowUnknown", "pods"];

    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, KeyStore store, ApiKeyCache keyCache, CatalogWatcher catalog,
        TimeProvider time)
    {
        routes.MapRoute("GET", "/api/v1/keys", AccessLevel.Admin,
            "List keys without their text, oldest first; ?limit= (default 100, at most 1000), ?cursor= (next of the "
            + "previous response)",
            (HttpContext context) => ListAsync(context, keyCache)).Produces<KeyList>();
        routes.MapRoute("GET", "/api/v1/keys/{id}", AccessLevel.Admin, "Get a key without its text",
            async (HttpContext context, string id) =>
        {
            var key = await store.FindAsync(id, context.RequestAborted);
            await (key is null ? NotFoundAsync(context, id) : context.Response.WriteAsJsonAsync(KeyView.From(key)));
        }).Produces<KeyView>();
        routes.MapRoute("POST", "/api/v1/keys", AccessLevel.Admin, "Create a key; only this response contains its text",
                (HttpContext context) => CreateAsync(context, store, keyCache, catalog, time))
            .AcceptsJson<CreateKeyRequest>().Produces<NewKey>(StatusCodes.Status201Created);
        routes.MapRoute("DELETE", "/api/v1/keys/{id}", AccessLevel.Admin,
            "Revoke a key; all gateways reject it within 2 s",
            async (HttpContext context, string id) =>
            {
                if (!await store.RevokeAsync(id, context.RequestAborted))
                {
                    await NotFoundAsync(context, id);
                    return;
                }

                await keyCache.RefreshAsync(context.RequestAborted);
                context.Response.StatusCode = StatusCodes.Status204NoContent;
            }).Produces(StatusCodes.Status204NoContent);
    }

    private static async Task ListAsync(HttpContext context, ApiKeyCache keyCache)
    {
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

        await keyCache.RefreshAsync(context.RequestAborted);
        // One key more than the page size shows whether another page follows.
        var keys = keyCache.List(after, limit + 1);
        var next = keys.Count > limit ? KeyCursor.FromKey(keys[limit - 1]).ToString() : null;
        await context.Response.WriteAsJsonAsync(new KeyList([.. keys.Take(limit).Select(KeyView.From)], next),
            context.RequestAborted);
    }

    private static async Task CreateAsync(HttpContext context, KeyStore store, ApiKeyCache keyCache,
        CatalogWatcher catalog, TimeProvider time)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var (request, errors) = Read(body.Node, time.GetUtcNow());
        if (errors.Count == 0 && !request.AllowUnknown)
            await CheckEndpointsAsync(request, catalog, errors, context.RequestAborted);
        if (errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        var (id, text) = ApiKeyFormat.New();
        var record = new ApiKey
        {
            Id = id,
            Name = request.Name ?? "",
            Hash = ApiKeyFormat.Hash(text),
            Last4 = text[^4..],
            Scope = new KeyScope
            {
                Admin = request.Admin,
                Invoke = request.Invoke ?? [],
                Pods = request.Pods ?? [],
            },
            CreatedAt = time.GetUtcNow(),
            ExpiresAt = request.ExpiresAt,
            Limits = new KeyLimits
            {
                RequestsPerMinute = request.RequestsPerMinute,
                Burst = request.Burst,
                TokensPerMinute = request.TokensPerMinute,
                Concurrent = request.Concurrent,
                Queued = request.Queued,
                JobBytes = request.JobBytes,
                Weight = request.Weight,
            },
        };
        await store.AddAsync(record, context.RequestAborted);
        await keyCache.RefreshAsync(context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"/api/v1/keys/{id}";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(new NewKey(text, KeyView.From(record)), context.RequestAborted);
    }

    /// <summary>
    /// Checks that the endpoints exist. Otherwise a misspelled id causes a 403 only when the key is used.
    /// </summary>
    private static async Task CheckEndpointsAsync(
        CreateKeyRequest request, CatalogWatcher catalog, List<FieldError> errors,
        CancellationToken ct)
    {
        for (var i = 0; i < request.Invoke?.Count; i++)
        {
            var id = request.Invoke[i];
            if (id == "*" || await catalog.FindAsync(id, ct) is not null) continue;
            var nearest = EditDistance.Nearest(id, catalog.Current.Deployments.Select(d => d.Endpoint.Id));
            errors.Add(new FieldError($"invoke[{i}]", id,
                "the id of a declared endpoint" + (nearest is null ? "" : $" (did you mean {nearest}?)")
                + "; set allowUnknown to true if it is declared later"));
        }
    }

    /// <summary>
    /// Parses the body field by field, so that the error of each invalid field contains its name and value.
    /// </summary>
    private static (CreateKeyRequest Request, List<FieldError> Errors) Read(JsonNode? node, DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        if (node is not JsonObject given)
            return (
                new CreateKeyRequest(),
                [new FieldError("(all)", node?.ToJsonString() ?? "null", "an object with fields")]);
        foreach (var (name, value) in given)
            if (!Fields.Contains(name))
                errors.Add(new FieldError(name, value?.ToJsonString() ?? "null",
                    $"a known field ({string.Join(", ", Fields)})"));
        var request = new CreateKeyRequest
        {
            Name = ReadField(given, "name", JsonValueKind.String, "a string", errors)?.GetValue<string>(),
            Admin = ReadField(given, "admin", null, "true or false", errors)?.GetValue<bool>() ?? false,
            Invoke = Names(given, "invoke", "an endpoint id", EndpointRules.IsId, errors),
            Pods = Names(given, "pods", "the id of a pod", UserPodRules.IsId, errors),
            ExpiresAt = Expiry(given, now, errors),
            RequestsPerMinute = (int)Number(given, "requestsPerMinute", 1_000_000, errors),
            Burst = (int)Number(given, "burst", 1_000_000, errors),
            TokensPerMinute = Number(given, "tokensPerMinute", MaxTokensPerMinute, errors),
            Concurrent = (int)Number(given, "concurrent", 1_000_000, errors),
            Queued = (int)Number(given, "queued", 10_000_000, errors),
            JobBytes = Number(given, "jobBytes", MaxJobBytes, errors),
            Weight = Weight(given, errors),
            AllowUnknown = ReadField(given, "allowUnknown", null, "true or false", errors)?.GetValue<bool>() ?? false,
        };
        if (request.Name?.Length > MaxName)
            errors.Add(new FieldError("name", $"{request.Name.Length} characters", $"at most {MaxName} characters"));
        if (!request.Admin && request is { Invoke: not { Count: > 0 }, Pods: not { Count: > 0 } } && errors.Count == 0)
            errors.Add(new FieldError("invoke", "",
                "endpoint ids that the key may call, or \"*\" for all; or pods; or admin: true"));
        return (request, errors);
    }

    private static JsonValue? ReadField(JsonObject given, string field, JsonValueKind? kind, string expected,
        List<FieldError> errors)
    {
        if (given[field] is not { } node) return null;
        var actual = node.GetValueKind();
        var fits = kind is { } wanted ? actual == wanted : actual is JsonValueKind.True or JsonValueKind.False;
        if (fits) return node.AsValue();
        errors.Add(new FieldError(field, node.ToJsonString(), expected));
        return null;
    }

    private static long Number(JsonObject given, string field, long max, List<FieldError> errors)
    {
        if (given[field] is not { } node) return 0;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<long>(out var n) && n >= 0
            && n <= max) return n;
        errors.Add(new FieldError(field, node.ToJsonString(), $"a whole number from 0 (no limit) to {max}"));
        return 0;
    }

    private static double Weight(JsonObject given, List<FieldError> errors)
    {
        if (given["weight"] is not { } node) return 1;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<double>(out var w) && w >= 0.01
            && w <= 100) return w;
        errors.Add(new FieldError("weight", node.ToJsonString(), "a number from 0.01 to 100 (the default is 1)"));
        return 1;
    }

    private static List<string>? Names(
        JsonObject given, string field, string expected, Func<string, bool> isName, List<FieldError> errors)
    {
        if (given[field] is not { } node) return null;
        if (node is not JsonArray items)
        {
            errors.Add(new FieldError(field, node.ToJsonString(), $"a list, each item {expected}, or [\"*\"]"));
            return null;
        }

        var ids = new List<string>();
        for (var i = 0; i < items.Count; i++)
        {
            var id = items[i]?.GetValueKind() == JsonValueKind.String ? items[i]!.GetValue<string>() : null;
            if (id is not null && (id == "*" || isName(id))) ids.Add(id);
            else
                errors.Add(new FieldError($"{field}[{i}]", items[i]?.ToJsonString() ?? "null",
                    $"{expected}, or \"*\""));
        }

        return ids;
    }

    private static DateTimeOffset? Expiry(JsonObject given, DateTimeOffset now, List<FieldError> errors)
    {
        if (given["expiresAt"] is not { } node) return null;
        if (node.GetValueKind() == JsonValueKind.String && node.AsValue().TryGetValue<DateTimeOffset>(out var at)
            && at > now) return at;
        errors.Add(new FieldError("expiresAt", node.ToJsonString(),
            "a time in the future, like \"2027-01-31T00:00:00Z\""));
        return null;
    }

    private static Task NotFoundAsync(HttpContext context, string id) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The key '{id}' does not exist.");

    /// <summary>The body of <c>POST /api/v1/keys</c>.</summary>
    public sealed record CreateKeyRequest
    {
        /// <summary>A display name.</summary>
        public string? Name { get; init; }

        /// <summary>Whether the key may call all APIs.</summary>
        public bool Admin { get; init; }

        /// <summary>Ids of the endpoints that the key may call. <c>*</c> means all endpoints.</summary>
        public IReadOnlyList<string>? Invoke { get; init; }

        /// <summary>Ids of the pods that the key may open. <c>*</c> means all pods.</summary>
        public IReadOnlyList<string>? Pods { get; init; }

        /// <summary>When the key expires. Null: never.</summary>
        public DateTimeOffset? ExpiresAt { get; init; }

        /// <summary>Maximum requests per minute, over all endpoints. 0 means no limit.</summary>
        public int RequestsPerMinute { get; init; }

        /// <summary>
        /// Requests that may arrive in one burst. 0 means a tenth of <see cref="RequestsPerMinute"/>.
        /// </summary>
        public int Burst { get; init; }

        /// <summary>
        /// Maximum tokens of prompts and generated texts per minute, over all endpoints. 0 means no limit.
        /// </summary>
        public long TokensPerMinute { get; init; }

        /// <summary>Maximum concurrent requests. 0 means no limit.</summary>
        public int Concurrent { get; init; }

        /// <summary>Maximum queued jobs at each endpoint. 0 means no limit.</summary>
        public int Queued { get; init; }

        /// <summary>
        /// Maximum size of its jobs in Redis at each endpoint, in bytes. 0 means the <c>jobs.maxKeyBytes</c> of the
        /// endpoint.
        /// </summary>
        public long JobBytes { get; init; }

        /// <summary>Weight of the key when keys compete for an endpoint, 0.01 to 100.</summary>
        public double Weight { get; init; } = 1;

        /// <summary>Whether <see cref="Invoke"/> may contain ids of endpoints that are not declared yet.</summary>
        public bool AllowUnknown { get; init; }
    }

    /// <summary>
    /// A key without its text. <paramref name="Last4"/> are its last four characters, which identify it to people.
    /// </summary>
    public sealed record KeyView(string Id, string Name, string Last4, KeyScope Scope, DateTimeOffset CreatedAt,
        DateTimeOffset? ExpiresAt,
        KeyLimits Limits)
    {
        internal static KeyView From(ApiKey k) =>
            new(k.Id, k.Name, k.Last4, k.Scope, k.CreatedAt, k.ExpiresAt, k.Limits ?? KeyLimits.None);
    }

    /// <summary>
    /// A page of the list. <paramref name="Next"/> is the cursor of the next page, and null on the last page.
    /// </summary>
    public sealed record KeyList(IReadOnlyList<KeyView> Keys, string? Next);

    /// <summary>A new key. <paramref name="Key"/> is its text, which no other response contains.</summary>
    public sealed record NewKey(string Key, KeyView Record);
}
