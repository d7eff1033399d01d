using Microsoft.Extensions.Primitives;

namespace Sluice.Gateway.Auth;

/// <summary>
/// A key among the subprotocols of a WebSocket: browsers cannot set headers there. <c>new WebSocket(url, ["sluice.key.KEY", "sluice"])</c>. The key's
/// item reaches no worker and no answer. Kubernetes' API server does the same with <c>base64url.bearer.authorization.k8s.io.TOKEN</c>.
/// </summary>
public static class SocketKey
{
    /// <summary>The header of the subprotocols (RFC 6455, section 11.3.4).</summary>
    public const string Header = "Sec-WebSocket-Protocol";

    /// <summary>
    /// The subprotocol that the gateway itself answers with, where it was offered and the worker chose none: browsers close a socket whose offer
    /// was left without a choice.
    /// </summary>
    public const string Own = "sluice";

    private const string Prefix = "sluice.key.";

    /// <summary>The key that a WebSocket handshake carries; null: none.</summary>
    public static string? Find(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue(Header, out var offered) || !headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase)) return null;
        return Items(offered).FirstOrDefault(IsKey)?[Prefix.Length..];
    }

    /// <summary>What a worker gets of the offer.</summary>
    /// <param name="offered">The client's subprotocols.</param>
    /// <returns>Null: nothing changes. Empty: no subprotocol remains, and the header is left out.</returns>
    public static string? WithoutKey(StringValues offered)
    {
        if (!Items(offered).Any(IsKey)) return null;
        return string.Join(", ", Items(offered).Where(item => !IsKey(item) && item != Own));
    }

    /// <summary>Whether the gateway answers with its own subprotocol when the worker chooses none.</summary>
    public static bool OffersOwn(StringValues offered) => Items(offered).Any(IsKey) && Items(offered).Contains(Own);

    private static bool IsKey(string item) => item.StartsWith(Prefix, StringComparison.Ordinal);

    private static IEnumerable<string> Items(StringValues offered) =>
        offered.SelectMany(v => (v ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
}
