using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// The ticket in the URL of a WebSocket handshake, <c>?ticket=slt_...</c>. A parameter of the same name in another form
/// belongs to the worker. Pure.
/// </summary>
public static class SocketTicketUrl
{
    /// <summary>The beginning of tickets, which helps secret scanners to find them.</summary>
    public const string Prefix = "slt_";

    /// <summary>Number of random bytes in a ticket, which are written as hexadecimal digits.</summary>
    public const int RandomBytes = 24;

    private const string Parameter = "ticket";

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Whether a request is the handshake of a WebSocket of HTTP/1.1 (RFC 6455, section 4.1).</summary>
    public static bool IsHandshake(HttpContext context) =>
        context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true }
        && HttpMethods.IsGet(context.Request.Method)
        && context.Request.Headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase);

    /// <summary>Returns the first ticket of a query, or null if it has none.</summary>
    /// <param name="query">The query as the client sent it, with or without its question mark.</param>
    public static string? Find(string query) =>
        query.TrimStart('?').Split('&').Select(Read).FirstOrDefault(t => t is not null);

    /// <summary>Returns a path and query without its tickets. The rest is not changed.</summary>
    /// <param name="target">The path and query as the client sent them.</param>
    public static string Remove(string target)
    {
        var query = target.IndexOf('?', StringComparison.Ordinal);
        if (query < 0 || Find(target[query..]) is null) return target;
        var rest = target[(query + 1)..].Split('&').Where(item => Read(item) is null);
        return string.Join('&', rest) is { Length: > 0 } left ? $"{target[..query]}?{left}" : target[..query];
    }

    /// <summary>
    /// Returns whether a page may use a ticket: it is of the gateway's own origin, or the CORS policy allows it. A page
    /// could otherwise use a ticket of its own with the cookies that a browser has for a web application. Programs
    /// send no origin.
    /// </summary>
    /// <param name="origin">The header <c>Origin</c>; empty: none.</param>
    /// <param name="host">The header <c>Host</c>.</param>
    /// <param name="policy">The policy of the endpoint or of the gateway; null: there is none.</param>
    public static bool Accepts(string origin, HostString host, CorsPolicy? policy)
    {
        if (origin.Length == 0 || policy?.Allows(origin) == true) return true;
        if (!Uri.TryCreate(origin, UriKind.Absolute, out var page) || page.Host.Length == 0) return false;
        // The gateway does not know the scheme: TLS may end in front of it.
        var port = host.Port ?? (page.Scheme == Uri.UriSchemeHttps ? 443 : 80);
        return page.Port == port && page.Host.Equals(host.Host, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Returns the ticket of an item of a query; null: it is not one.</summary>
    private static string? Read(string item)
    {
        var equals = item.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0 || Uri.UnescapeDataString(item[..equals]) != Parameter) return null;
        var value = Uri.UnescapeDataString(item[(equals + 1)..]);
        return value.Length == Prefix.Length + (2 * RandomBytes) && value.StartsWith(Prefix, StringComparison.Ordinal)
            && value.AsSpan(Prefix.Length).IndexOfAnyExcept(Digits) < 0 ? value : null;
    }
}
