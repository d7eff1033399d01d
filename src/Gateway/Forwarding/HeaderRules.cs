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

    /// <summary>What a worker may not say to our clients in our name.</summary>
    private static readonly FrozenSet<string> FromWorker = Names("Server", "Set-Cookie", "Set-Cookie2",
        "Strict-Transport-Security", "Alt-Svc", "X-Powered-By", "Via", "Server-Timing", "Proxy-Authenticate",
        "Clear-Site-Data", "Public-Key-Pins");

    /// <summary>True when a client's request header must not reach a worker.</summary>
    public static bool StripFromRequest(string name) => FromClient.Contains(name)
        || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X_", StringComparison.OrdinalIgnoreCase);

    /// <summary>True when a worker's response header must not reach a client.</summary>
    public static bool StripFromResponse(string name) => FromWorker.Contains(name)
        || name.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase);

    private static FrozenSet<string> Names(params string[] names) =>
        names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
