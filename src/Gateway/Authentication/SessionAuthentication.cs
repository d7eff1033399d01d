using System.Security.Cryptography;
using Sluice.Gateway.Http;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Authenticates browsers by a session: a random token in a cookie that scripts cannot read. Redis is read with each
/// request, so that a token that was signed out is accepted by no gateway; the session also ends with its key.
/// </summary>
public sealed class SessionAuthentication(SessionStore store, ApiKeyCache keys, TimeProvider time)
{
    /// <summary>
    /// The beginnings of the routes that accept sessions. At <c>/e</c> and at pods, other people write the pages.
    /// </summary>
    private static readonly string[] Accepted = ["/api/v1/", "/v1/", "/v2/"];

    /// <summary>Whether a route accepts sessions.</summary>
    public static bool IsAccepted(string pattern) =>
        Accepted.Any(a => pattern.StartsWith(a, StringComparison.Ordinal));

    /// <summary>Reads what a browser reports about a request.</summary>
    public static SessionRequest Read(HttpContext context)
    {
        var pattern = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";
        return SessionRequest.Read(context.Request, !pattern.StartsWith(Accepted[0], StringComparison.Ordinal));
    }

    /// <summary>
    /// Returns the token of a request whose route accepts sessions, and that needs a key; null: it has none.
    /// </summary>
    public static string? FindToken(HttpContext context)
    {
        var cookies = context.Request.Headers.Cookie;
        if (cookies.Count == 0 || context.GetEndpoint() is not RouteEndpoint route
            || !IsAccepted(route.RoutePattern.RawText ?? "")
            || route.Metadata.GetMetadata<AccessRule>() is { Level: AccessLevel.Nothing }) return null;
        var request = Read(context);
        // A request that is refused anyway is refused whatever the name of its cookie is.
        return SessionCookie.Find(cookies, request.IsSecure && request.FindObstacle() is null);
    }

    /// <summary>Starts a session with a new token.</summary>
    /// <param name="caller">The owner of the key.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<(string Token, Session Session)> CreateAsync(Caller caller, CancellationToken ct)
    {
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SessionCookie.TokenBytes));
        var now = time.GetUtcNow();
        var ends = now + SessionCookie.Lifetime;
        if (keys.FindRecord(caller.KeyId)?.ExpiresAt is { } expiry && expiry < ends) ends = expiry;
        var session = new Session(caller.KeyId, keys.ProofOf(caller.KeyId) ?? "", now, ends);
        await store.CreateAsync(token, session, ct);
        return (token, session);
    }

    /// <summary>Returns the caller of a token, with its session.</summary>
    public async Task<(KeyVerdict Verdict, Caller? Caller, Session? Session)> FindAsync(
        string token, CancellationToken ct)
    {
        Session? session;
        try
        {
            session = await store.FindAsync(token, ct);
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return (KeyVerdict.CannotCheck, null, null);
        }

        var now = time.GetUtcNow();
        if (session is null || session.ExpiresAt <= now) return (KeyVerdict.SessionEnded, null, null);
        var verdict = keys.FindById(session.KeyId, now, out var caller);
        if (verdict == KeyVerdict.CannotCheck) return (verdict, null, null);
        return caller is null || keys.ProofOf(session.KeyId) != session.KeyProof
            ? (KeyVerdict.SessionEnded, null, null)
            : (verdict, caller, session);
    }

    /// <summary>Ends the session of a token, if there is one.</summary>
    public async Task DeleteAsync(string token, CancellationToken ct)
    {
        if (await store.FindAsync(token, ct) is { } session) await store.DeleteAsync(token, session, ct);
    }

    /// <summary>
    /// Restricts a response to a session: browsers do not store it, and show it only in a sandbox. A file that a user
    /// uploaded could otherwise act with the session.
    /// </summary>
    public static void Protect(HttpResponse response) => response.OnStarting(() =>
    {
        var headers = response.Headers;
        if (headers.CacheControl.Count == 0) headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.Append("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'");
        return Task.CompletedTask;
    });
}
