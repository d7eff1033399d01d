using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Api;

/// <summary>
/// The worker's few routes, matched segment by segment; what a path matched is remembered. ASP.NET's own routing would do the same and
/// more, and costs a starting worker its dependency injection, its builders, and a state machine compiled at the first request.
/// </summary>
internal sealed class Router
{
    /// <summary>Paths remembered: those of the models that are asked for. Names that do not exist could be without end.</summary>
    private const int MaxKnown = 1000;

    private readonly List<Route> routes = [];
    private readonly ConcurrentDictionary<(string Method, string Path), Match> known = [];

    /// <param name="pattern">Segments; one in braces matches any text and becomes a route value.</param>
    /// <param name="handler">What answers.</param>
    public void MapGet(string pattern, RequestDelegate handler) => routes.Add(new Route("GET", pattern.Split('/'), handler));

    /// <inheritdoc cref="MapGet"/>
    public void MapPost(string pattern, RequestDelegate handler) => routes.Add(new Route("POST", pattern.Split('/'), handler));

    /// <summary>Hands the request to its route, the first that matches; 404 where no path matches, 405 where another method does.</summary>
    public Task InvokeAsync(HttpContext context)
    {
        var key = (context.Request.Method, context.Request.Path.Value ?? "");
        if (!known.TryGetValue(key, out var match))
        {
            match = Find(key.Method, key.Item2.Split('/'));
            if (match.Handler is not null && known.Count < MaxKnown) known.TryAdd(key, match);
        }

        if (match.Handler is null)
        {
            context.Response.StatusCode = match.Status;
            return Task.CompletedTask;
        }

        Admins.Check(context, match.Pattern);
        // Copied: Kestrel keeps a connection's dictionary, and clears it after each request.
        foreach (var (name, value) in match.Values) context.Request.RouteValues[name] = value;
        return match.Handler(context);
    }

    private Match Find(string method, string[] path)
    {
        var status = StatusCodes.Status404NotFound;
        foreach (var route in routes)
        {
            if (!route.Matches(path)) continue;
            if (route.Method == method) return new Match(route.Handler, route.Pattern, route.Values(path), StatusCodes.Status200OK);
            status = StatusCodes.Status405MethodNotAllowed;
        }

        return new Match(null, "", [], status);
    }

    /// <param name="Handler">What answers; null: nothing does.</param>
    /// <param name="Pattern">The route's, as it was mapped.</param>
    /// <param name="Values">What the path says.</param>
    /// <param name="Status">Where nothing answers.</param>
    private sealed record Match(RequestDelegate? Handler, string Pattern, (string Name, string Value)[] Values, int Status);

    private sealed record Route(string Method, string[] Segments, RequestDelegate Handler)
    {
        public string Pattern { get; } = string.Join('/', Segments);

        public bool Matches(string[] path)
        {
            if (path.Length != Segments.Length) return false;
            for (var i = 0; i < path.Length; i++)
                if (IsValue(Segments[i]) ? path[i].Length == 0 : Segments[i] != path[i]) return false;
            return true;
        }

        public (string Name, string Value)[] Values(string[] path) =>
            [.. Segments.Zip(path).Where(p => IsValue(p.First)).Select(p => (p.First[1..^1], p.Second))];

        private static bool IsValue(string segment) => segment is ['{', .., '}'];
    }
}
