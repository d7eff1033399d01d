using Sluice.Gateway.Selection;

namespace Sluice.Gateway.Authentication;

/// <summary>Maps API routes. Every route has an access rule and a summary.</summary>
internal static class Routes
{
    /// <summary>Maps one route.</summary>
    /// <param name="routes">The application.</param>
    /// <param name="method">The HTTP method.</param>
    /// <param name="pattern">The route pattern.</param>
    /// <param name="required">The required access level.</param>
    /// <param name="summary">The OpenAPI summary.</param>
    /// <param name="handler">The handler.</param>
    public static RouteHandlerBuilder MapRoute(this IEndpointRouteBuilder routes, string method, string pattern,
        AccessLevel required,
        string summary, Delegate handler) =>
        Audit(routes.MapMethods(pattern, Methods(method, required), handler), method, pattern, required)
            // The last metadata wins. A preflight request for the method also matches the route; CrossOrigin handles
            // it.
            .WithMetadata(new HttpMethodMetadata(Methods(method, required), acceptCorsPreflight: true),
            new AccessRule(required)).WithSummary(summary);

    /// <summary>
    /// Successful requests of routes that only admins may use, and that change something, are recorded.
    /// </summary>
    private static RouteHandlerBuilder Audit(
        RouteHandlerBuilder route, string method, string pattern, AccessLevel required) =>
        required == AccessLevel.Admin && method != HttpMethods.Get
            ? route.WithMetadata(new Audited($"{method} {pattern}"))
            : route;

    /// <summary>Public GET routes also accept HEAD, because health checks use it. The server omits the body.</summary>
    private static string[] Methods(string method, AccessLevel required) =>
        method == HttpMethods.Get && required == AccessLevel.Nothing ? [HttpMethods.Get, HttpMethods.Head] : [method];

    /// <summary>
    /// Describes the JSON body in the OpenAPI document. Any content type is accepted, because the default of curl is a
    /// form type.
    /// </summary>
    public static RouteHandlerBuilder AcceptsJson<T>(this RouteHandlerBuilder route)
        where T : notnull => route.Accepts<T>("application/json", "*/*");

    /// <summary>
    /// Sets the result of the authentication and authorization of a request. The response names a canary only where it
    /// was drawn: the id of a job is a text of the client, and must not show which endpoints exist.
    /// </summary>
    public static void Admit(this HttpContext context, AuthenticatedRequest admission)
    {
        context.Features.Set(admission);
        if (context.GetEndpoint()?.Metadata.GetMetadata<SharesWithCanaries>() is null) return;
        if (admission.CanaryOf is null) context.Response.Headers.Remove(CanaryRouting.Header);
        else context.Response.Headers[CanaryRouting.Header] = admission.Deployment!.Endpoint.Id;
    }

    /// <summary>Returns the result of the authentication and authorization of a request.</summary>
    public static AuthenticatedRequest Admission(this HttpContext context) =>
        context.Features.Get<AuthenticatedRequest>()
        ?? throw new InvalidOperationException(
            "The request was not authorized: ApiKeyAuthenticationMiddleware did not run.");
}
