using System.Net;
using Sluice.Domain.Notation;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// What a browser reports about a request with the cookie of a session, and about the page that sends it.
/// </summary>
/// <param name="Method">The HTTP method.</param>
/// <param name="Host">The header <c>Host</c>.</param>
/// <param name="IsHttps">Whether TLS ends at the gateway.</param>
/// <param name="IsUpgrade">Whether it is a WebSocket handshake.</param>
/// <param name="IsOfWorker">Whether a worker may write the response: <c>/v1</c> and <c>/v2</c>.</param>
/// <param name="HasHeader">Whether it has <see cref="Header"/>.</param>
/// <param name="Origin">The header <c>Origin</c>; empty: none.</param>
/// <param name="FetchSite">The header <c>Sec-Fetch-Site</c>; empty: none.</param>
/// <param name="FetchDestination">The header <c>Sec-Fetch-Dest</c>; empty: none.</param>
public readonly record struct SessionRequest(
    string Method,
    HostString Host,
    bool IsHttps,
    bool IsUpgrade,
    bool IsOfWorker,
    bool HasHeader,
    string Origin,
    string FetchSite,
    string FetchDestination)
{
    /// <summary>The header that each change needs, with the value 1. A page of another origin cannot send it.</summary>
    public const string Header = "X-Sluice-Request";

    /// <summary>
    /// Whether the browser uses TLS, which may end in front of the gateway: its origin says so, or it sends
    /// <c>Sec-Fetch-Site</c>, which browsers send only over TLS or to this machine (W3C Fetch Metadata, section 2).
    /// </summary>
    public bool IsSecure => IsHttps || Origin.StartsWith("https:", StringComparison.OrdinalIgnoreCase)
        || (FetchSite.Length > 0 && !IsLoopback(Host.Host));

    /// <summary>Reads the facts of a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="isOfWorker">Whether a worker may write the response.</param>
    public static SessionRequest Read(HttpRequest request, bool isOfWorker) => new(
        request.Method,
        request.Host,
        request.IsHttps,
        request.Headers.Upgrade.Count > 0,
        isOfWorker,
        request.Headers[Header] == "1",
        request.Headers.Origin.ToString(),
        request.Headers["Sec-Fetch-Site"].ToString(),
        request.Headers["Sec-Fetch-Dest"].ToString());

    /// <summary>
    /// Returns why the cookie must not authenticate the request; null: it may. Browsers send cookies with requests that
    /// other pages cause, so only requests of the gateway's own pages, and of the address bar, may use it.
    /// </summary>
    public string? FindObstacle()
    {
        var reads = HttpMethods.IsGet(Method) || HttpMethods.IsHead(Method) || HttpMethods.IsOptions(Method);
        if (Origin.Length > 0 && !IsOwnOrigin())
            return $"Origin is '{QuotedText.Shorten(Origin)}'; expected the origin of the gateway.";
        // A link in the address bar is not a request of a page. It reads, and nothing more.
        if (FetchSite is not ("" or "same-origin") && !(FetchSite == "none" && reads && !IsUpgrade))
            return $"Sec-Fetch-Site is '{QuotedText.Shorten(FetchSite)}'; expected same-origin.";
        if (!reads && !HasHeader)
            return $"The request has a session and changes something, but no header '{Header}: 1'.";
        // CORS does not apply to WebSockets, so they need Origin (RFC 6455, section 10.2).
        if (IsUpgrade && Origin.Length == 0) return "The request is a WebSocket without the header Origin.";
        // A worker could otherwise answer with a page, which would have the rights of the session.
        if (IsOfWorker && FetchDestination is not ("" or "empty" or "websocket" or "image" or "audio" or "video"))
            return $"Sec-Fetch-Dest is '{QuotedText.Shorten(FetchDestination)}'; responses of workers are not shown as "
                + "pages.";
        return null;
    }

    private bool IsOwnOrigin() =>
        (!IsSecure || Origin.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
        && SocketTicketUrl.Accepts(Origin, Host, null);

    private static bool IsLoopback(string host) => host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
}
