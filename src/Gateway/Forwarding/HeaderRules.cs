using System.Collections.Frozen;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Which headers pass the gateway, in each direction. Hop-by-hop headers are YARP's own matter, but for those that a
/// client names in <c>Connection</c> (RFC 9110 section 7.6.1), which YARP forwards.
/// </summary>
public static class HeaderRules
{
    /// <summary>Credentials of the client, and what only a proxy may say.</summary>
    private static readonly FrozenSet<string> FromClient = Names("Authorization", "Proxy-Authorization", "Cookie",
        "Forwarded", "X-Real-IP", "X-Content-Length", "Connection", "Keep-Alive", "Proxy-Connection");

    /// <summary>
    /// What the gateway or its HTTP client writes itself. CGI, WSGI and their like do not distinguish <c>-</c> and <c>_</c> in names, so that
    /// <c>X_Request_Id</c> could replace <c>X-Request-Id</c>.
    /// </summary>
    private static readonly FrozenSet<string> OwnToWorker = Names("Host", "Content-Length", "Transfer-Encoding", "X-Request-Id", "Upgrade", "TE");

    /// <summary>
    /// What a worker may not say to our clients in our name: cookies and credentials of the origin, settings that browsers keep for the whole
    /// origin, and orders to a reverse proxy in front (nginx, Apache, lighttpd).
    /// </summary>
    private static readonly FrozenSet<string> FromWorker = Names("Server", "Set-Cookie", "Set-Cookie2",
        "Strict-Transport-Security", "Alt-Svc", "X-Powered-By", "Via", "Server-Timing", "Proxy-Authenticate", "WWW-Authenticate",
        "Clear-Site-Data", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-CT", "NEL", "Report-To", "Reporting-Endpoints",
        "Service-Worker-Allowed", "Origin-Agent-Cluster", "Accept-CH", "Critical-CH", "Refresh",
        "X-Sendfile", "X-LIGHTTPD-send-file", "X-Reproxy-URL", "Surrogate-Control");

    /// <summary>True when a client's request header must not reach a worker.</summary>
    public static bool StripFromRequest(string name) => name.Contains('_', StringComparison.Ordinal)
        ? OwnToWorker.Contains(name.Replace('_', '-')) || IsStripped(name.Replace('_', '-')) || name.StartsWith("X_", StringComparison.OrdinalIgnoreCase)
        : IsStripped(name);

    /// <summary>True when a worker's response header must not reach a client. Headers of CORS are another matter: <see cref="IsCors"/>.</summary>
    public static bool StripFromResponse(string name) => FromWorker.Contains(name)
        || name.StartsWith("X-Accel-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase);

    /// <summary>True for a response header of CORS: the worker's passes only where the gateway has no policy for the endpoint.</summary>
    public static bool IsCors(string name) => name.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase);

    private static bool IsStripped(string name) => FromClient.Contains(name)
        || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase);

    private static FrozenSet<string> Names(params string[] names) =>
        names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
