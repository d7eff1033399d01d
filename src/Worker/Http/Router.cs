using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Http;

/// <summary>
/// Routes requests by path segments and caches the result for each path. The worker does not use ASP.NET Core
/// routing, because that increases the cold start: it needs dependency injection and builders, and compiles a state
/// machine at the first request.
/// </summary>
/// <param name="refuse">Writes the error of a request that no route matches.</param>
internal sealed class Router(Func<HttpContext, int, string, Task> refuse)
{
    /// <summary>
    /// Maximum number of cached paths. Paths contain client-supplied model names, so their number is unlimited.
    /// </summary>
    private const int MaxKnown = 1000;

    /// <summary>Maximum number of paths, and of characters of a path, in an error.</summary>
    private const int MaxPaths = 6, MaxShown = 200;

    private readonly List<Route> routes = [];
    private readonly ConcurrentDictionary<(string Method, string Path), Match> known = [];

    /// <summary>Adds a route.</summary>
    /// <param name="pattern">The path. A segment in braces matches any text, which becomes a route value.</param>
    /// <param name="handler">Handles the matching requests.</param>
    public void MapGet(string pattern, RequestDelegate handler) =>
        routes.Add(new Route("GET", pattern.Split('/'), handler));

    /// <inheritdoc cref="MapGet"/>
    public void MapPost(string pattern, RequestDelegate handler) =>
        routes.Add(new Route("POST", pattern.Split('/'), handler));

    /// <summary>
    /// Calls the handler of the first matching route. The response has the status 404 if no route matches the path, and
    /// 405 if a route matches only with another method.
    /// </summary>
    public Task InvokeAsync(HttpContext context)
    {
        var key = (context.Request.Method, context.Request.Path.Value ?? "");
        if (!known.TryGetValue(key, out var match))
        {
            match = Find(key.Method, key.Item2.Split('/'));
            if (match.Handler is not null && known.Count < MaxKnown) known.TryAdd(key, match);
        }

        if (match.Handler is null) return refuse(context, match.Status, Explain(key.Method, key.Item2));

        AdminOnly.CheckAnonymousAccess(context, match.Pattern);
        // The values are copied, because Kestrel reuses the dictionary of a connection and clears it after each
        // request.
        foreach (var (name, value) in match.Values) context.Request.RouteValues[name] = value;
        return match.Handler(context);
    }

    /// <summary>Returns the pattern of the route of a request; empty: no route matches.</summary>
    public string FindPattern(string method, string path) =>
        known.TryGetValue((method, path), out var match) ? match.Pattern : Find(method, path.Split('/')).Pattern;

    /// <summary>
    /// Returns why no route matches: the path, and the methods that it supports, or the paths that begin like it.
    /// </summary>
    internal string Explain(string method, string path)
    {
        var segments = path.Split('/');
        var shown = path.Length > MaxShown ? path[..MaxShown] + "..." : path;
        var methods = routes.Where(r => r.Matches(segments)).Select(r => r.Method).Distinct().ToList();
        if (methods.Count > 0)
            return $"The path '{shown}' does not support {method}; expected {string.Join(" or ", methods)}.";
        var most = routes.Max(r => r.Common(segments));
        var like = routes.Where(r => r.Common(segments) == most).Select(r => $"{r.Method} {r.Pattern}").ToList();
        var more = like.Count > MaxPaths ? $", and {like.Count - MaxPaths} more" : "";
        return $"The path '{shown}' does not exist; expected {string.Join(", ", like.Take(MaxPaths))}{more}.";
    }

    private Match Find(string method, string[] path)
    {
        var status = StatusCodes.Status404NotFound;
        foreach (var route in routes)
        {
            if (!route.Matches(path)) continue;
            if (route.Method == method)
                return new Match(route.Handler, route.Pattern, route.Values(path), StatusCodes.Status200OK);
            status = StatusCodes.Status405MethodNotAllowed;
        }

        return new Match(null, "", [], status);
    }

    /// <summary>The route of a path.</summary>
    /// <param name="Handler">Handler of the route; null: no route matches.</param>
    /// <param name="Pattern">Pattern of the route.</param>
    /// <param name="Values">Route values from the path.</param>
    /// <param name="Status">Status code of the response if no route matches.</param>
    private sealed record Match(
        RequestDelegate? Handler,
        string Pattern,
        (string Name, string Value)[] Values,
        int Status);

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

        /// <summary>Returns the number of segments at the start that match.</summary>
        public int Common(string[] path) => Segments.Zip(path)
            .TakeWhile(p => IsValue(p.First) ? p.Second.Length > 0 : p.First == p.Second).Count();

        public (string Name, string Value)[] Values(string[] path) =>
            [.. Segments.Zip(path).Where(p => IsValue(p.First)).Select(p => (p.First[1..^1], p.Second))];

        private static bool IsValue(string segment) => segment is ['{', .., '}'];
    }
}
