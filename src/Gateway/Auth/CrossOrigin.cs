using System.Globalization;
using Sluice.Core.Endpoints;
using Sluice.Gateway.Api;

namespace Sluice.Gateway.Auth;

/// <summary>
/// Cross-origin requests of browsers. Answers preflights before authentication, because a preflight carries no key, and adds the headers of CORS to
/// every other answer, errors and streams included. An endpoint's own policy replaces the gateway's; management has the gateway's only.
/// </summary>
public sealed class CrossOrigin(CorsPolicy? gateway, CatalogWatcher catalog)
{
    /// <summary>
    /// What a page may read beside the safelisted headers. The <c>*</c> stands for all others of a worker; browsers accept it where no cookies
    /// are sent.
    /// </summary>
    private const string Exposed = "RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-Id, X-Sluice-Worker, X-Sluice-Job, X-Sluice-Tokens, "
        + "Inference-Header-Content-Length, Location, WWW-Authenticate, *";

    private const string AlwaysAllowed = "Authorization, Content-Type";

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var policy = PolicyOf(context);
        var request = context.Request;
        var preflight = HttpMethods.IsOptions(request.Method) && request.Headers.Origin.Count > 0 && request.Headers.AccessControlRequestMethod.Count > 0;
        // Without a policy an endpoint's worker may have one. A route of the gateway's own matches a preflight only to be answered here.
        if (preflight && (policy is not null || context.GetEndpoint()?.Metadata.GetMetadata<IHttpMethodMetadata>() is { AcceptCorsPreflight: true }))
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

    /// <summary>The policy of what the route names; null: there is none.</summary>
    private CorsPolicy? PolicyOf(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<AccessRule>() is not { Demand: Demand.Invoke }) return gateway;
        var values = context.Request.RouteValues;
        var deployment = values.TryGetValue("endpoint", out var id) ? catalog.Current.Find((string)id!)
            : values.TryGetValue("model", out var model) ? catalog.Current.FindByModel((string)model!) : null;
        return deployment?.Endpoint.Cors ?? gateway;
    }

    private static void AddHeaders(IHeaderDictionary headers, CorsPolicy policy, string origin)
    {
        if (policy.AllowsAny)
        {
            headers.AccessControlAllowOrigin = CorsPolicy.Any;
        }
        else
        {
            // A cache must not give one origin's answer to another.
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
            return Problem.WriteAsync(context, StatusCodes.Status403Forbidden, $"the origin is '{Shown(origin)}'; expected one that "
                + "SLUICE_CORS_ORIGINS, or cors.origins of the endpoint, allows");
        var asked = request.Headers.AccessControlRequestHeaders.ToString();
        response.Headers.AccessControlAllowOrigin = policy.AllowsAny ? CorsPolicy.Any : origin;
        response.Headers.AccessControlAllowMethods = request.Headers.AccessControlRequestMethod;
        response.Headers.AccessControlAllowHeaders = policy.Headers.Count > 0 ? $"{AlwaysAllowed}, {string.Join(", ", policy.Headers)}"
            : asked.Length > 0 ? asked : AlwaysAllowed;
        response.Headers.AccessControlMaxAge = ((long)policy.MaxAge.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static string Shown(string text) => text.Length <= 100 ? text : text[..97] + "...";
}
