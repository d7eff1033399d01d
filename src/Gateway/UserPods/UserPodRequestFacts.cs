namespace Sluice.Gateway.UserPods;

/// <summary>What a browser reports about the page that sends a request.</summary>
/// <param name="Method">The HTTP method.</param>
/// <param name="IsUpgrade">Whether it is a WebSocket handshake.</param>
/// <param name="Origin">The header <c>Origin</c>; empty: none.</param>
/// <param name="FetchSite">The header <c>Sec-Fetch-Site</c>; empty: none.</param>
/// <param name="FetchMode">The header <c>Sec-Fetch-Mode</c>; empty: none.</param>
/// <param name="FetchDestination">The header <c>Sec-Fetch-Dest</c>; empty: none.</param>
/// <param name="OwnOrigin">The origin of the pod's own pages.</param>
public readonly record struct UserPodRequestFacts(
    string Method,
    bool IsUpgrade,
    string Origin,
    string FetchSite,
    string FetchMode,
    string FetchDestination,
    string OwnOrigin)
{
    /// <summary>Reads them from a request.</summary>
    public static UserPodRequestFacts Read(HttpRequest request, UserPodRouting routing) => new(
        request.Method,
        request.Headers.Upgrade.Count > 0,
        request.Headers.Origin.ToString(),
        request.Headers["Sec-Fetch-Site"].ToString(),
        request.Headers["Sec-Fetch-Mode"].ToString(),
        request.Headers["Sec-Fetch-Dest"].ToString(),
        routing.OriginOf(request));

    /// <summary>
    /// Returns whether a request with a cookie comes from the pod's own pages, from the address bar, or is a link to
    /// the pod. Browsers send cookies with the requests of any page, so only these may use one. Source: W3C Fetch
    /// Metadata; WebSocket handshakes have no protection except <c>Origin</c> (RFC 6455, section 10.2).
    /// </summary>
    public bool MayUseCookie()
    {
        if (IsUpgrade) return Origin == OwnOrigin && FetchSite is ("" or "same-origin");
        if (Origin.Length > 0 && Origin != OwnOrigin) return false;
        var reads = HttpMethods.IsGet(Method) || HttpMethods.IsHead(Method);
        return FetchSite switch
        {
            "same-origin" or "none" => true,
            // A link of another page. A frame of it is not one, although it navigates: the page of another pod, which
            // is of the same site, could otherwise show a notebook under its own buttons.
            "same-site" or "cross-site" => reads && FetchMode == "navigate" && FetchDestination is ("" or "document"),
            // A browser without these headers sends Origin with each request that changes something.
            "" => reads || Origin.Length > 0,
            _ => false,
        };
    }
}
