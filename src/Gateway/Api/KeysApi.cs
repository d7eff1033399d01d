using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/api/v1/keys</c>: make, list and revoke API keys. A key's text is told once, in the answer that made it.</summary>
public static class KeysApi
{
    private const int MaxName = 100;

    /// <summary>As of <c>jobs.maxKeyBytes</c>: 1 TiB.</summary>
    private const long MaxJobBytes = 1L << 40;

    private static readonly string[] Fields = ["name", "admin", "invoke", "expiresAt", "requestsPerMinute", "burst", "concurrent", "queued", "jobBytes", "weight",
        "allowUnknown"];

    public static void Map(IEndpointRouteBuilder routes, KeyStore store, KeyRing ring, CatalogWatcher catalog, TimeProvider time)
    {
        routes.On("GET", "/api/v1/keys", Demand.Admin,
            "Keys, without their text, the oldest first; ?limit= (100, at most 1000), ?cursor= (the next of an earlier response)",
            (HttpContext context) => ListAsync(context, ring)).Produces<KeyList>();
        routes.On("GET", "/api/v1/keys/{id}", Demand.Admin, "One key", async (HttpContext context, string id) =>
        {
            var key = await store.FindAsync(id, context.RequestAborted);
            await (key is null ? NoKeyAsync(context, id) : context.Response.WriteAsJsonAsync(KeyView.Of(key)));
        }).Produces<KeyView>();
        routes.On("POST", "/api/v1/keys", Demand.Admin, "Make a key; its text is told in this answer only",
                (HttpContext context) => CreateAsync(context, store, ring, catalog, time))
            .Takes<KeyWish>().Produces<NewKey>(StatusCodes.Status201Created);
        routes.On("DELETE", "/api/v1/keys/{id}", Demand.Admin, "Revoke a key; every gateway refuses it within 2 s",
            async (HttpContext context, string id) =>
            {
                if (!await store.RevokeAsync(id, context.RequestAborted))
                {
                    await NoKeyAsync(context, id);
                    return;
                }

                await ring.RefreshAsync(context.RequestAborted);
                context.Response.StatusCode = StatusCodes.Status204NoContent;
            }).Produces(StatusCodes.Status204NoContent);
    }

    private static async Task ListAsync(HttpContext context, KeyRing ring)
    {
        if (await Paging.LimitAsync(context) is not { } limit) return;
        KeyCursor? after = null;
        if (context.Request.Query["cursor"] is [{ Length: > 0 } text])
        {
            if (!KeyCursor.TryParse(text, out var cursor))
            {
                await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"cursor is '{text}'; expected the next of an earlier response.");
                return;
            }

            after = cursor;
        }

        await ring.RefreshAsync(context.RequestAborted);
        // One more than the page has, to know whether another page follows.
        var keys = ring.List(after, limit + 1);
        var next = keys.Count > limit ? KeyCursor.Of(keys[limit - 1]).ToString() : null;
        await context.Response.WriteAsJsonAsync(new KeyList([.. keys.Take(limit).Select(KeyView.Of)], next), context.RequestAborted);
    }

    private static async Task CreateAsync(HttpContext context, KeyStore store, KeyRing ring, CatalogWatcher catalog, TimeProvider time)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var (wish, errors) = Read(body.Node, time.GetUtcNow());
        if (errors.Count == 0 && !wish.AllowUnknown) await CheckEndpointsAsync(wish, catalog, errors, context.RequestAborted);
        if (errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        var (id, text) = ApiKey.New();
        var record = new KeyRecord
        {
            Id = id,
            Name = wish.Name ?? "",
            Hash = ApiKey.Hash(text),
            Last4 = text[^4..],
            Scope = new KeyScope { Admin = wish.Admin, Invoke = wish.Invoke ?? [] },
            CreatedAt = time.GetUtcNow(),
            ExpiresAt = wish.ExpiresAt,
            Limits = new KeyLimits
            {
                RequestsPerMinute = wish.RequestsPerMinute, Burst = wish.Burst, Concurrent = wish.Concurrent, Queued = wish.Queued,
                JobBytes = wish.JobBytes, Weight = wish.Weight,
            },
        };
        await store.AddAsync(record, context.RequestAborted);
        await ring.RefreshAsync(context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"/api/v1/keys/{id}";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(new NewKey(text, KeyView.Of(record)), context.RequestAborted);
    }

    /// <summary>A key for a misspelt endpoint would be refused with 403 at its first use only.</summary>
    private static async Task CheckEndpointsAsync(KeyWish wish, CatalogWatcher catalog, List<FieldError> errors, CancellationToken ct)
    {
        for (var i = 0; i < wish.Invoke?.Count; i++)
        {
            var id = wish.Invoke[i];
            if (id == "*" || await catalog.FindAsync(id, ct) is not null) continue;
            var nearest = EditDistance.Nearest(id, catalog.Current.Deployments.Select(d => d.Endpoint.Id));
            errors.Add(new FieldError($"invoke[{i}]", id, "the id of a declared endpoint" + (nearest is null ? "" : $" (did you mean {nearest}?)")
                + "; for one that is declared later, set allowUnknown to true"));
        }
    }

    /// <summary>Reads the wish by hand, so that each wrong field is told by name and value.</summary>
    private static (KeyWish Wish, List<FieldError> Errors) Read(JsonNode? node, DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        if (node is not JsonObject given)
            return (new KeyWish(), [new FieldError("(all)", node?.ToJsonString() ?? "null", "an object with fields")]);
        foreach (var (name, value) in given)
            if (!Fields.Contains(name))
                errors.Add(new FieldError(name, value?.ToJsonString() ?? "null", $"no such field (known: {string.Join(", ", Fields)})"));
        var wish = new KeyWish
        {
            Name = Take(given, "name", JsonValueKind.String, "a string", errors)?.GetValue<string>(),
            Admin = Take(given, "admin", null, "true or false", errors)?.GetValue<bool>() ?? false,
            Invoke = Invoke(given, errors),
            ExpiresAt = Expiry(given, now, errors),
            RequestsPerMinute = (int)Number(given, "requestsPerMinute", 1_000_000, errors),
            Burst = (int)Number(given, "burst", 1_000_000, errors),
            Concurrent = (int)Number(given, "concurrent", 1_000_000, errors),
            Queued = (int)Number(given, "queued", 10_000_000, errors),
            JobBytes = Number(given, "jobBytes", MaxJobBytes, errors),
            Weight = Weight(given, errors),
            AllowUnknown = Take(given, "allowUnknown", null, "true or false", errors)?.GetValue<bool>() ?? false,
        };
        if (wish.Name?.Length > MaxName) errors.Add(new FieldError("name", $"{wish.Name.Length} characters", $"at most {MaxName}"));
        if (!wish.Admin && wish.Invoke is not { Count: > 0 } && errors.Count == 0)
            errors.Add(new FieldError("invoke", "", "endpoint ids that the key may call, or \"*\" for all; or admin: true"));
        return (wish, errors);
    }

    private static JsonValue? Take(JsonObject given, string field, JsonValueKind? kind, string expected, List<FieldError> errors)
    {
        if (given[field] is not { } node) return null;
        var actual = node.GetValueKind();
        var fits = kind is { } wanted ? actual == wanted : actual is JsonValueKind.True or JsonValueKind.False;
        if (fits) return node.AsValue();
        errors.Add(new FieldError(field, node.ToJsonString(), expected));
        return null;
    }

    private static long Number(JsonObject given, string field, long most, List<FieldError> errors)
    {
        if (given[field] is not { } node) return 0;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<long>(out var n) && n >= 0 && n <= most) return n;
        errors.Add(new FieldError(field, node.ToJsonString(), $"a whole number from 0 (no limit) to {most}"));
        return 0;
    }

    private static double Weight(JsonObject given, List<FieldError> errors)
    {
        if (given["weight"] is not { } node) return 1;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<double>(out var w) && w >= 0.01 && w <= 100) return w;
        errors.Add(new FieldError("weight", node.ToJsonString(), "a number from 0.01 to 100 (1 is the common share)"));
        return 1;
    }

    private static List<string>? Invoke(JsonObject given, List<FieldError> errors)
    {
        if (given["invoke"] is not { } node) return null;
        if (node is not JsonArray items)
        {
            errors.Add(new FieldError("invoke", node.ToJsonString(), "a list of endpoint ids, or [\"*\"]"));
            return null;
        }

        var ids = new List<string>();
        for (var i = 0; i < items.Count; i++)
        {
            var id = items[i]?.GetValueKind() == JsonValueKind.String ? items[i]!.GetValue<string>() : null;
            if (id is not null && (id == "*" || EndpointRules.IsId(id))) ids.Add(id);
            else errors.Add(new FieldError($"invoke[{i}]", items[i]?.ToJsonString() ?? "null", "an endpoint id, or \"*\""));
        }

        return ids;
    }

    private static DateTimeOffset? Expiry(JsonObject given, DateTimeOffset now, List<FieldError> errors)
    {
        if (given["expiresAt"] is not { } node) return null;
        if (node.GetValueKind() == JsonValueKind.String && node.AsValue().TryGetValue<DateTimeOffset>(out var at) && at > now) return at;
        errors.Add(new FieldError("expiresAt", node.ToJsonString(), "a time to come, like \"2027-01-31T00:00:00Z\""));
        return null;
    }

    private static Task NoKeyAsync(HttpContext context, string id) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"no key '{id}'");

    /// <summary>What is asked for.</summary>
    public sealed record KeyWish
    {
        /// <summary>For people.</summary>
        public string? Name { get; init; }

        /// <summary>Everything.</summary>
        public bool Admin { get; init; }

        /// <summary>Endpoint ids that it may call; <c>*</c>: all.</summary>
        public IReadOnlyList<string>? Invoke { get; init; }

        /// <summary>It is refused from then on.</summary>
        public DateTimeOffset? ExpiresAt { get; init; }

        /// <summary>Requests a minute over all endpoints; 0: no limit.</summary>
        public int RequestsPerMinute { get; init; }

        /// <summary>Requests of that rate that may come at once; 0: a tenth of a minute's.</summary>
        public int Burst { get; init; }

        /// <summary>Requests at once; 0: no limit.</summary>
        public int Concurrent { get; init; }

        /// <summary>Jobs that may wait at each endpoint; 0: no limit.</summary>
        public int Queued { get; init; }

        /// <summary>Bytes that its jobs may occupy in Redis at each endpoint; 0: the endpoint's <c>jobs.maxKeyBytes</c>.</summary>
        public long JobBytes { get; init; }

        /// <summary>Share of an endpoint beside other keys, 0.01 to 100.</summary>
        public double Weight { get; init; } = 1;

        /// <summary>Accepts ids of endpoints that are not declared yet.</summary>
        public bool AllowUnknown { get; init; }
    }

    /// <summary>A key as it is shown: <paramref name="Last4"/> are its last characters, to recognise it by.</summary>
    public sealed record KeyView(string Id, string Name, string Last4, KeyScope Scope, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt,
        KeyLimits Limits)
    {
        internal static KeyView Of(KeyRecord k) => new(k.Id, k.Name, k.Last4, k.Scope, k.CreatedAt, k.ExpiresAt, k.Limits ?? KeyLimits.None);
    }

    /// <summary>A page of the list; <paramref name="Next"/> is the cursor of the next page, null on the last one.</summary>
    public sealed record KeyList(IReadOnlyList<KeyView> Keys, string? Next);

    /// <summary>A new key: <paramref name="Key"/> is its text, told this once.</summary>
    public sealed record NewKey(string Key, KeyView Record);
}
