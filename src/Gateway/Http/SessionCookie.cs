using Microsoft.Extensions.Primitives;

namespace Sluice.Gateway.Http;

/// <summary>The cookie that has the token of a session. Pure, except where it writes to a response.</summary>
public static class SessionCookie
{
    /// <summary>
    /// The name over TLS: browsers accept the prefix <c>__Host-</c> only from the host itself, with <c>Secure</c> and
    /// without <c>Domain</c>, so no other host of the domain can set it (RFC 6265bis, section 4.1.3.2).
    /// </summary>
    public const string SecureName = "__Host-sluice-session";

    /// <summary>The name without TLS.</summary>
    public const string PlainName = "sluice-session";

    /// <summary>How long a session lasts: a working day.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    /// <summary>The number of random bytes in a token, which are written as hexadecimal digits.</summary>
    internal const int TokenBytes = 32;

    /// <summary>
    /// Returns the token of a request, or null. Over TLS only the name that other hosts cannot set is accepted. A
    /// gateway on this machine accepts both, because it cannot know whether TLS ends in front of it.
    /// </summary>
    /// <param name="cookies">The headers <c>Cookie</c>.</param>
    /// <param name="isSecure">Whether the browser uses TLS.</param>
    public static string? Find(StringValues cookies, bool isSecure) =>
        Find(cookies, SecureName) ?? (isSecure ? null : Find(cookies, PlainName));

    /// <summary>
    /// Returns headers <c>Cookie</c> without the sessions of the gateway; empty: nothing is left. They are sent to
    /// no worker and no pod.
    /// </summary>
    public static string Remove(StringValues cookies) =>
        string.Join("; ", Items(cookies).Where(i => !IsName(NameOf(i))));

    /// <summary>Whether a header <c>Set-Cookie</c> would replace a session.</summary>
    public static bool IsSetBy(string? setCookie) => IsName(NameOf(setCookie ?? ""));

    /// <summary>Writes the cookie.</summary>
    public static void Set(HttpResponse response, string token, bool isSecure) => Write(
        response, isSecure ? SecureName : PlainName, token, isSecure, Lifetime);

    /// <summary>Deletes the cookie in the browser, under the names that it sent.</summary>
    public static void Clear(HttpContext context)
    {
        foreach (var name in new[] { SecureName, PlainName })
            if (Find(context.Request.Headers.Cookie, name) is not null)
                Write(context.Response, name, "", name == SecureName, TimeSpan.Zero);
    }

    private static void Write(HttpResponse response, string name, string value, bool isSecure, TimeSpan life)
    {
        response.Cookies.Append(name, value, new CookieOptions
        {
            HttpOnly = true,
            Secure = isSecure,
            SameSite = SameSiteMode.Strict,
            Path = "/",
            MaxAge = life,
        });
        response.Headers.CacheControl = "no-store";
    }

    private static string? Find(StringValues cookies, string name)
    {
        foreach (var item in Items(cookies))
            if (NameOf(item).SequenceEqual(name) && item[(item.IndexOf('=', StringComparison.Ordinal) + 1)..]
                is { Length: 2 * TokenBytes } token) return token;
        return null;
    }

    private static bool IsName(ReadOnlySpan<char> name) =>
        name.SequenceEqual(PlainName) || name.SequenceEqual(SecureName);

    private static ReadOnlySpan<char> NameOf(string item)
    {
        var equals = item.IndexOf('=', StringComparison.Ordinal);
        return (equals < 0 ? item : item.AsSpan(0, equals)).Trim();
    }

    /// <summary>A proxy may send several headers.</summary>
    private static IEnumerable<string> Items(StringValues cookies) => cookies.SelectMany(c =>
        (c ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
}
