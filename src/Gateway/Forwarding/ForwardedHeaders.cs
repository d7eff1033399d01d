using Microsoft.Extensions.Primitives;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Headers that web applications need: the host and the cookies of the client, if their template requests them, and
/// cookies of a worker that apply to its own paths only. Pure.
/// </summary>
internal static class ForwardedHeaders
{
    /// <summary>Adds the host and the cookies of the client.</summary>
    /// <param name="request">The request to the worker.</param>
    /// <param name="original">The request of the client.</param>
    /// <param name="template">The template of the worker.</param>
    /// <param name="isSecure">Whether clients use TLS, which ends in front of the gateway.</param>
    public static void Add(HttpRequestMessage request, HttpRequest original, Template template, bool isSecure)
    {
        if (template.PassHost)
        {
            request.Headers.Host = original.Host.Value;
            request.Headers.TryAddWithoutValidation("X-Forwarded-Host", original.Host.Value);
            request.Headers.TryAddWithoutValidation("X-Forwarded-Proto", isSecure ? "https" : original.Scheme);
            request.Headers.TryAddWithoutValidation(
                "X-Forwarded-For", original.HttpContext.Connection.RemoteIpAddress?.ToString() ?? "");
        }

        if (template.PassCookies && SessionCookie.Remove(original.Headers.Cookie) is { Length: > 0 } cookies)
            request.Headers.TryAddWithoutValidation("Cookie", cookies);
    }

    /// <summary>
    /// Returns cookies that a browser sends to paths below a prefix of the gateway's own host only: without
    /// <c>Domain</c>, and with a <c>Path</c> below it. The new <c>Path</c> is the last one, which browsers use
    /// (RFC 6265, section 5.3). A cookie with the name of a session is omitted.
    /// </summary>
    /// <param name="cookies">The headers <c>Set-Cookie</c>.</param>
    /// <param name="prefix">The prefix, with a slash at its end.</param>
    public static StringValues KeepBelow(StringValues cookies, string prefix) =>
        cookies.Where(c => !SessionCookie.IsSetBy(c)).Select(c => KeepBelow(c ?? "", prefix)).ToArray();

    /// <inheritdoc cref="KeepBelow(StringValues, string)"/>
    public static string KeepBelow(string cookie, string prefix)
    {
        var parts = cookie.Split(';');
        var (kept, path) = (new List<string> { parts[0] }, "/");
        foreach (var attribute in parts.Skip(1).Select(p => p.Trim()))
        {
            if (attribute.StartsWith("Domain", StringComparison.OrdinalIgnoreCase)) continue;
            if (attribute.StartsWith("Path=", StringComparison.OrdinalIgnoreCase)) path = attribute[5..];
            else kept.Add(" " + attribute);
        }

        if (!path.StartsWith(prefix, StringComparison.Ordinal)) path = prefix;
        return $"{string.Join(';', kept)}; Path={path}";
    }
}
