using Microsoft.AspNetCore.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Http;

/// <summary>
/// Checks which requests need an admin key and which routes are open to callers without a key. A key that may use an
/// endpoint's models is not an admin key.
/// </summary>
internal static class AdminOnly
{
    /// <summary>
    /// Set to <c>1</c> by the gateway if the caller's key has the scope <c>admin</c>. The gateway removes the header
    /// from all other requests.
    /// </summary>
    public const string Header = "X-Sluice-Admin";

    /// <summary>
    /// Set to <c>1</c> by the gateway for a caller of a public endpoint without a key that may invoke the endpoint. The
    /// gateway removes the header from client requests.
    /// </summary>
    public const string AnonymousHeader = "X-Sluice-Anonymous";

    /// <summary>
    /// Set by the gateway to the flow of the request: the id of the caller's key. The gateway removes the header from
    /// client requests.
    /// </summary>
    public const string FlowHeader = "X-Sluice-Flow";

    /// <summary>
    /// Routes that callers without a key may use: inference, and the metadata that a client reads about a named model
    /// before it sends an inference. All other routes (repository, model lists, statistics, metrics, settings) need a
    /// key.
    /// </summary>
    private static readonly HashSet<string> AnonymousRoutes =
    [
        "/v2", "/v2/health/live", "/v2/health/ready", "/run", "/v1/chat/completions", "/v1/completions",
        "/v1/embeddings",
        .. new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" }
            .SelectMany(
                _ => new[] { "", "/ready", "/config", "/infer", "/generate", "/generate_stream" },
                (prefix, path) => prefix + path),
    ];

    /// <summary>Rejects a caller without a key if the route needs one.</summary>
    /// <param name="context">The request.</param>
    /// <param name="pattern">The pattern of the matched route, with parameter names in braces.</param>
    /// <exception cref="InvalidRequestException">403: the caller has no key and the route needs one.</exception>
    public static void CheckAnonymousAccess(HttpContext context, string pattern)
    {
        if (context.Request.Headers[AnonymousHeader] == "1" && !AnonymousRoutes.Contains(pattern))
            throw new InvalidRequestException(
                "This path of a public endpoint needs an API key that may use the endpoint: "
                + "send 'Authorization: Bearer KEY'.",
                StatusCodes.Status403Forbidden);
    }

    /// <summary>Rejects a caller that is not an admin.</summary>
    /// <param name="context">The request.</param>
    /// <param name="action">The action that needs an admin key, as a verb in the error text.</param>
    /// <exception cref="InvalidRequestException">403: the caller is not an admin.</exception>
    public static void RequireAdmin(HttpContext context, string action)
    {
        if (context.Request.Headers[Header] != "1")
            throw new InvalidRequestException(
                $"Only an admin key can {action}. Send the request through the gateway with a key that has the scope "
                + "'admin'.",
                StatusCodes.Status403Forbidden);
    }
}
