using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary>The one way to map a route: what it demands of its caller and what it is for are no options.</summary>
internal static class Routes
{
    public static RouteHandlerBuilder On(this IEndpointRouteBuilder routes, string method, string pattern, Demand demand,
        string summary, Delegate handler) =>
        routes.MapMethods(pattern, Methods(method, demand), handler)
            // The last one counts. A preflight of the method finds the route too; CrossOrigin answers it.
            .WithMetadata(new HttpMethodMetadata(Methods(method, demand), acceptCorsPreflight: true), new AccessRule(demand)).WithSummary(summary);

    /// <summary>What is open to all is what health checks ask, and they ask with HEAD too. The server leaves the body out.</summary>
    private static string[] Methods(string method, Demand demand) =>
        method == HttpMethods.Get && demand == Demand.Nothing ? [HttpMethods.Get, HttpMethods.Head] : [method];

    /// <summary>Describes the body. Any content type will do: curl's default is a form, and the body must be JSON anyway.</summary>
    public static RouteHandlerBuilder Takes<T>(this RouteHandlerBuilder route)
        where T : notnull => route.Accepts<T>("application/json", "*/*");

    /// <summary>The request as the gatekeeper admitted it.</summary>
    public static Admission Admission(this HttpContext context) => context.Features.Get<Admission>()
        ?? throw new InvalidOperationException("the gatekeeper does not stand before this route");
}
