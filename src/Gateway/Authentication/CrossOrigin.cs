using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Gateway.Http;
using Sluice.Gateway.Selection;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Middleware for cross-origin requests (CORS). It answers preflight requests before authentication, because a
/// preflight request has no key. It adds the CORS headers to every other response, including errors and streams. An
/// endpoint's policy replaces the gateway's policy. Management routes always use the gateway's policy.
/// </summary>
public sealed class CrossOrigin(CorsPolicy? gateway, CatalogWatcher catalog)
{
    /// <summary>
    /// The response headers that a page may read in addition to the safelisted headers. The <c>*</c> includes all other
    /// headers of a worker; browsers accept it for requests without cookies.
    /// </summary>
    private const string Exposed = "RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-Id, "
        + "X-Sluice-Worker, X-Sluice-Endpoint, X-Sluice-Job, X-Sluice-Tokens, "
        + "Inference-Header-Content-Length, Location, WWW-Authenticate, *";

    private const string AlwaysAllowed = "Authorization, Content-Type";

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var policy = PolicyOf(context);
        var request = context.Request;
        var isPreflight = HttpMethods.IsOptions(request.Method)
            && request.Headers.Origin.Count > 0
            && request.Headers.AccessControlRequestMethod.Count > 0;
        // If there is no policy, the endpoint's worker may have one. A route of the gateway itself matches a preflight
        // request only so that this middleware answers it.
        var acceptsPreflight = context.GetEndpoint()?.Metadata.GetMetadata<IHttpMethodMetadata>()
            is { AcceptCorsPreflight: true };
        if (isPreflight && (policy is not null || acceptsPreflight))
            return AnswerPreflightAsync(context, policy);
        if (policy is null) return next(context);
        context.Features.Set(policy);
        var origin = request.Headers.Origin.ToString();
        context.Response.OnStarting(() =>
        {
            AddHeaders(context.Response.Headers, policy, origin);
            return Task.CompletedTask;
        });
        return next(context);
    }

    /// <summary>
    /// Returns the policy for the endpoint or model in the route, or null if there is none. A preflight has no body, so
    /// the gateway's policy applies where the body selects the endpoint.
    /// </summary>
    private CorsPolicy? PolicyOf(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<AccessRule>() is not { IsOfEndpoint: true })
            return gateway;
        return RouteSelector.Read(context).FindIn(catalog.Current)?.Endpoint.Cors ?? gateway;
    }

    private static void AddHeaders(IHeaderDictionary headers, CorsPolicy policy, string origin)
    {
        if (policy.AllowsAny)
        {
            headers.AccessControlAllowOrigin = CorsPolicy.Any;
        }
        else
        {
            // A cache must not serve the response for one origin to another origin.
            headers.AppendCommaSeparatedValues("Vary", "Origin");
            if (!policy.Allows(origin)) return;
            headers.AccessControlAllowOrigin = origin;
        }

        headers.AccessControlExposeHeaders = Exposed;
    }

    private static Task AnswerPreflightAsync(HttpContext context, CorsPolicy? policy)
    {
        var (request, response) = (context.Request, context.Response);
        var origin = request.Headers.Origin.ToString();
        response.Headers.Vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        if (policy?.Allows(origin) != true)
            return Problem.WriteAsync(context, StatusCodes.Status403Forbidden,
                $"The origin is '{QuotedText.Shorten(origin)}'; expected an origin that SLUICE_CORS_ORIGINS, "
                + "or cors.origins of the endpoint, allows.");
        var requestedHeaders = request.Headers.AccessControlRequestHeaders.ToString();
        response.Headers.AccessControlAllowOrigin = policy.AllowsAny ? CorsPolicy.Any : origin;
        response.Headers.AccessControlAllowMethods = request.Headers.AccessControlRequestMethod;
        response.Headers.AccessControlAllowHeaders = policy.Headers.Count > 0
            ? $"{AlwaysAllowed}, {string.Join(", ", policy.Headers)}"
            : requestedHeaders.Length > 0 ? requestedHeaders : AlwaysAllowed;
        response.Headers.AccessControlMaxAge =
            ((long)policy.MaxAge.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }
}
