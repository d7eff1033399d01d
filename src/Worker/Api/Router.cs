using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Api;

/// <summary>
/// The worker's few routes, matched segment by segment. ASP.NET's own routing would do the same and more, and costs a
/// starting worker its dependency injection, its builders, and a state machine compiled at the first request.
/// </summary>
internal sealed class Router
{
    private readonly List<Route> routes = [];

    /// <param name="pattern">Segments; one in braces matches any text and becomes a route value.</param>
    /// <param name="handler">What answers.</param>
    public void MapGet(string pattern, RequestDelegate handler) => routes.Add(new Route("GET", pattern.Split('/'), handler));

    /// <inheritdoc cref="MapGet"/>
    public void MapPost(string pattern, RequestDelegate handler) => routes.Add(new Route("POST", pattern.Split('/'), handler));

    /// <summary>Hands the request to its route; 404 where no path matches, 405 where another method does.</summary>
    public Task InvokeAsync(HttpContext context)
    {
        var path = (context.Request.Path.Value ?? "").Split('/');
        var status = StatusCodes.Status404NotFound;
        foreach (var route in routes)
        {
            if (!route.Matches(path)) continue;
            if (route.Method != context.Request.Method)
            {
                status = StatusCodes.Status405MethodNotAllowed;
                continue;
            }

            route.Take(path, context);
            return route.Handler(context);
        }

        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private sealed record Route(string Method, string[] Segments, RequestDelegate Handler)
    {
        public bool Matches(string[] path)
        {
            if (path.Length != Segments.Length) return false;
            for (var i = 0; i < path.Length; i++)
                if (IsValue(Segments[i]) ? path[i].Length == 0 : Segments[i] != path[i]) return false;
            return true;
        }

        public void Take(string[] path, HttpContext context)
        {
            for (var i = 0; i < path.Length; i++)
                if (IsValue(Segments[i])) context.Request.RouteValues[Segments[i][1..^1]] = path[i];
        }

        private static bool IsValue(string segment) => segment is ['{', .., '}'];
    }
}
