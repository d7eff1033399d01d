using Microsoft.AspNetCore.Http;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>What only admins may do to a worker, and what callers without a key may not. A key that may ask its models is not an admin's.</summary>
internal static class Admins
{
    /// <summary>Said by the gateway of a caller whose key has the scope <c>admin</c>; it takes the header from everybody else's requests.</summary>
    public const string Header = "X-Sluice-Admin";

    /// <summary>Set by the gateway for a caller of a public endpoint without a key; it removes the header from clients' requests.</summary>
    public const string AnonymousHeader = "X-Sluice-Anonymous";

    /// <summary>
    /// Routes of callers without a key: inference, and what a client asks about a model by its name before it sends one. Everything else (the
    /// repository, lists of models, statistics, metrics, settings) needs a key.
    /// </summary>
    private static readonly HashSet<string> ForAnonymous =
    [
        "/v2", "/v2/health/live", "/v2/health/ready", "/run",
        .. new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" }
            .SelectMany(p => new[] { "", "/ready", "/config", "/infer", "/generate", "/generate_stream" }, (p, path) => p + path),
    ];

    /// <summary>Throws 403 where the route is not open to a caller without a key.</summary>
    /// <param name="context">The request.</param>
    /// <param name="pattern">The route that its path matched, with names in braces.</param>
    public static void Check(HttpContext context, string pattern)
    {
        if (context.Request.Headers[AnonymousHeader] == "1" && !ForAnonymous.Contains(pattern))
            throw new InvalidRequestException("this path of a public endpoint needs an API key that may use the endpoint: send 'Authorization: Bearer KEY'",
                StatusCodes.Status403Forbidden);
    }

    /// <param name="context">The request.</param>
    /// <param name="what">As the error begins: what is done.</param>
    /// <exception cref="InvalidRequestException">403: the caller is none.</exception>
    public static void Demand(HttpContext context, string what)
    {
        if (context.Request.Headers[Header] != "1")
            throw new InvalidRequestException($"{what} by admins only: through the gateway with a key of the scope admin, "
                + $"at the worker itself with '{Header}: 1'", StatusCodes.Status403Forbidden);
    }
}
