using System.Collections.Frozen;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Decides which headers the gateway forwards, in each direction. YARP removes hop-by-hop headers, except those that a
/// client names in <c>Connection</c> (RFC 9110 section 7.6.1).
/// </summary>
public static class HeaderRules
{
    /// <summary>Client credentials, and headers that only a trusted proxy may set.</summary>
    private static readonly FrozenSet<string> FromClient = Names("Authorization", "Proxy-Authorization", "Cookie",
        "Forwarded", "X-Real-IP", "X-Content-Length", "Connection", "Keep-Alive", "Proxy-Connection");

    /// <summary>
    /// Headers that the gateway or its HTTP client sets. CGI, WSGI and similar interfaces do not distinguish <c>-</c>
    /// and <c>_</c> in names, so <c>X_Request_Id</c> could replace <c>X-Request-Id</c>.
    /// </summary>
    private static readonly FrozenSet<string> OwnToWorker =
        Names("Host", "Content-Length", "Transfer-Encoding", "X-Request-Id", "Upgrade", "TE");

    /// <summary>
    /// Response headers that a worker must not set for the gateway's origin: cookies and credentials, settings that
    /// browsers store for the whole origin, and instructions for a reverse proxy in front (nginx, Apache, lighttpd).
    /// </summary>
    private static readonly FrozenSet<string> FromWorker = Names("Server", "Set-Cookie", "Set-Cookie2",
        "Strict-Transport-Security", "Alt-Svc", "X-Powered-By", "Via", "Server-Timing", "Proxy-Authenticate",
        "WWW-Authenticate", "Clear-Site-Data", "Public-Key-Pins", "Public-Key-Pins-Report-Only",
        "Expect-CT", "NEL", "Report-To", "Reporting-Endpoints",
        "Service-Worker-Allowed", "Origin-Agent-Cluster", "Accept-CH", "Critical-CH", "Refresh",
        "X-Sendfile", "X-LIGHTTPD-send-file", "X-Reproxy-URL", "Surrogate-Control");

    /// <summary>Returns whether a client's request header must not be sent to a worker.</summary>
    public static bool StripFromRequest(string name) => name.Contains('_', StringComparison.Ordinal)
        ? OwnToWorker.Contains(name.Replace('_', '-'))
            || IsStripped(name.Replace('_', '-'))
            || name.StartsWith("X_", StringComparison.OrdinalIgnoreCase)
        : IsStripped(name);

    /// <summary>
    /// Returns whether a worker's response header must not be sent to a client. For CORS headers see <see
    /// cref="IsCors"/>.
    /// </summary>
    public static bool StripFromResponse(string name) => FromWorker.Contains(name)
        || name.StartsWith("X-Accel-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Returns whether a response header is a CORS header. The worker's CORS headers are forwarded only if the gateway
    /// has no policy for the endpoint.
    /// </summary>
    public static bool IsCors(string name) => name.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase);

    private static bool IsStripped(string name) => FromClient.Contains(name)
        || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase);

    private static FrozenSet<string> Names(params string[] names) =>
        names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
