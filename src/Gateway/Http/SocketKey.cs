using Microsoft.Extensions.Primitives;

namespace Sluice.Gateway.Http;

/// <summary>
/// Reads an API key from the subprotocols of a WebSocket handshake, because browsers cannot set headers on it:
/// <c>new WebSocket(url, ["sluice.key.KEY", "sluice"])</c>. The item with the key is never sent to a worker or returned
/// in a response. The Kubernetes API server does the same with <c>base64url.bearer.authorization.k8s.io.TOKEN</c>.
/// </summary>
public static class SocketKey
{
    /// <summary>The header that lists the subprotocols (RFC 6455, section 11.3.4).</summary>
    public const string Header = "Sec-WebSocket-Protocol";

    /// <summary>
    /// The subprotocol that the gateway selects if the client offered it and the worker selected none. Browsers close a
    /// WebSocket if they offered subprotocols and the server selected none.
    /// </summary>
    public const string Own = "sluice";

    private const string Prefix = "sluice.key.";

    /// <summary>Returns the key of a WebSocket handshake, or null if it has none.</summary>
    public static string? Find(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue(Header, out var offered)) return null;
        if (!headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase)) return null;
        return Items(offered).FirstOrDefault(IsKey)?[Prefix.Length..];
    }

    /// <summary>Returns the subprotocols that are sent to a worker.</summary>
    /// <param name="offered">The client's subprotocols.</param>
    /// <returns>
    /// Null if the header does not change. Empty if no subprotocol remains; the header is then omitted.
    /// </returns>
    public static string? WithoutKey(StringValues offered)
    {
        if (!Items(offered).Any(IsKey)) return null;
        return string.Join(", ", Items(offered).Where(item => !IsKey(item) && item != Own));
    }

    /// <summary>Returns whether the gateway selects its own subprotocol if the worker selects none.</summary>
    public static bool OffersOwn(StringValues offered) => Items(offered).Any(IsKey) && Items(offered).Contains(Own);

    private static bool IsKey(string item) => item.StartsWith(Prefix, StringComparison.Ordinal);

    private static IEnumerable<string> Items(StringValues offered) =>
        offered.SelectMany(v => (v ?? "")
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
}
