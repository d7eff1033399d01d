using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Startup;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Api;

/// <summary>Tests that every route declares its access level, and lists the routes that require no key.</summary>
public sealed partial class RoutesTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly string[] Open =
    [
        "/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready", "/openapi.json", SessionRoute,
        "/", "/ui/{**path}",
    ];

    /// <summary>Browsers sign in with the key in the body, and out without one.</summary>
    private const string SessionRoute = "/api/v1/session";

    /// <summary>They show the key itself, or only the pods that the key may open or read.</summary>
    private static readonly string[] RoutesOfAnyKey =
    [
        "GET /api/v1/key", "GET " + SessionRoute,
        "GET /api/v1/pods", "GET /api/v1/pods/{id}", "GET /api/v1/pods/{id}/logs",
        "POST /api/v1/pods/{id}/links",
    ];

    /// <summary>They read jobs, and change nothing.</summary>
    private static readonly string[] JobReads =
    [
        "/v2/{endpoint}/status/{id}", "/v2/{endpoint}/status-sync/{id}", "/v2/{endpoint}/stream/{id}",
        "/v2/{endpoint}/input/{id}",
        "/v2/{endpoint}/health", "/v2/{endpoint}/requests", "/v2/{endpoint}/dead-letters",
    ];

    /// <summary>Keys of users create tickets for the endpoints that they may use.</summary>
    private const string TicketRoute = "POST /api/v1/endpoints/{endpoint}/tickets";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-routes-").FullName;
    private DataFolder data = null!;
    private WebApplication app = null!;

    public async ValueTask InitializeAsync()
    {
        data = new DataFolder(folder);
        app = GatewayHost.Build(
            new GatewaySettings { Urls = "http://127.0.0.1:0" },
            data,
            new RedisStore(await redis.ConnectAsync()),
            new PayloadShare(redis.Store, Path.Combine(folder, "payloads")));
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        data.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void Every_route_has_an_access_rule_and_only_the_listed_routes_require_no_key()
    {
        var routes = Routes();
        Assert.True(routes.Count > 20);
        Assert.All(routes, r => Assert.NotNull(r.Metadata.GetMetadata<AccessRule>()));
        Assert.Equal(Open.Order(StringComparer.Ordinal), routes
            .Where(r => r.Metadata.GetMetadata<AccessRule>()!.Level == AccessLevel.Nothing)
            .Select(r => r.RoutePattern.RawText!).Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_route_requires_the_narrowest_scope()
    {
        foreach (var route in Routes())
        {
            var (pattern, required) = (route.RoutePattern.RawText!, route.Metadata.GetMetadata<AccessRule>()!.Level);
            var method = route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods[0];
            if (Expected(method, pattern) is { } expected)
                Assert.Equal((method, pattern, expected), (method, pattern, required));
        }

        static AccessLevel? Expected(string? method, string pattern)
        {
            var isRead = method == "GET" || pattern == "/api/v1/gpus/try";
            if (RoutesOfAnyKey.Contains($"{method} {pattern}")) return AccessLevel.AuthenticatedKey;
            if ($"{method} {pattern}" == TicketRoute) return AccessLevel.Invoke;
            if (pattern == SessionRoute) return AccessLevel.Nothing;
            if (pattern.StartsWith("/metrics", StringComparison.Ordinal)) return AccessLevel.Metrics;
            if (pattern.StartsWith("/api/", StringComparison.Ordinal)
                || pattern.StartsWith("/v2/pods", StringComparison.Ordinal))
                return isRead && !pattern.Contains("secret", StringComparison.Ordinal)
                    ? AccessLevel.Read
                    : AccessLevel.Admin;
            if (JobReads.Contains(pattern) && method != "DELETE") return AccessLevel.ReadJobs;
            return pattern.Contains("model}", StringComparison.Ordinal)
                || pattern.Contains("{endpoint}", StringComparison.Ordinal) ? AccessLevel.Invoke : null;
        }
    }

    [Fact]
    public void Only_the_route_that_forwards_any_path_accepts_socket_tickets() =>
        Assert.Equal(["/e/{endpoint}/{**path}"], Routes()
            .Where(r => r.Metadata.GetMetadata<AcceptsSocketTickets>() is not null)
            .Select(r => r.RoutePattern.RawText!));

    [Fact]
    public void Sessions_are_accepted_by_no_route_that_forwards_any_path_and_by_no_pod()
    {
        var refused = Routes().Select(r => r.RoutePattern.RawText!).Where(p => !SessionAuthentication.IsAccepted(p));
        Assert.Equal(
            [
                "/", "/e/{endpoint}/{**path}", "/healthz", "/metrics", "/metrics/workers", "/openapi.json", "/readyz",
                "/ui/{**path}", "/v2",
            ],
            refused.Distinct().Order(StringComparer.Ordinal));
        Assert.False(SessionAuthentication.IsAccepted("/pods/{pod}/{port}/{**path}"));
    }

    [Fact]
    public async Task The_OpenAPI_document_lists_every_route_with_a_method()
    {
        await app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        var text = await client.GetStringAsync(new Uri("/openapi.json", UriKind.Relative));
        var document = System.Text.Json.Nodes.JsonNode.Parse(text)!;
        var described = document["paths"]!.AsObject()
            .SelectMany(p => p.Value!.AsObject().Select(m => $"{m.Key.ToUpperInvariant()} {p.Key}"));
        var mapped = Routes()
            .SelectMany(r => (r.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
                // OpenAPI has no form for parameters with slashes.
                .Select(m => $"{m} {r.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)}"))
            .Where(r => !r.EndsWith("/openapi.json", StringComparison.Ordinal));
        Assert.Equal(mapped.Order(StringComparer.Ordinal), described.Order(StringComparer.Ordinal));
        await app.StopAsync();
    }

    [Fact]
    public void The_page_of_the_API_names_every_route_with_its_methods_and_no_other()
    {
        var cells = File.ReadLines(Path.Combine(Repository.Root, "docs", "reference", "http-api.md"))
            .Where(l => l.StartsWith("| ", StringComparison.Ordinal) && l.Contains('`', StringComparison.Ordinal))
            .Select(l => l.Split(" | ")[0]);
        var documented = cells
            .SelectMany(c => PathInCell().Matches(c).SelectMany(path => MethodsOf(c).Select(m => $"{m} {path.Value}")))
            .ToHashSet();
        var mapped = Routes()
            .SelectMany(r => (r.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["any"])
                .Where(m => m != "HEAD")
                .Select(m => $"{m} {DocumentedPath(r.RoutePattern.RawText!)}"))
            .ToHashSet();
        Assert.Equal(mapped.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    /// <summary>The form in which the page names a route; it describes versions of a model in one sentence.</summary>
    private static string DocumentedPath(string pattern) => pattern
        .Replace("/versions/{version}", "", StringComparison.Ordinal)
        .Replace("{**rest}", "...", StringComparison.Ordinal)
        .Replace("{**", "{", StringComparison.Ordinal);

    /// <summary>The methods that a cell of the page names; a cell that names none is for all methods.</summary>
    private static List<string> MethodsOf(string cell)
    {
        var named = MethodInCell().Matches(cell).Select(m => m.Value).Distinct().ToList();
        return named.Count > 0 ? named : ["any"];
    }

    [GeneratedRegex(@"(?<=[ `])/[^`\s]*")]
    private static partial Regex PathInCell();

    [GeneratedRegex(@"\b(GET|POST|PUT|PATCH|DELETE)\b")]
    private static partial Regex MethodInCell();

    private List<RouteEndpoint> Routes() =>
        [.. ((IEndpointRouteBuilder)app).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()];
}
