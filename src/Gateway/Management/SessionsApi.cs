using System.Text.Json.Nodes;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/session</c>: exchanges an API key for the cookie of a session, with which browsers use the dashboard.
/// </summary>
public sealed partial class SessionsApi(
    SessionAuthentication sessions,
    KeysApi own,
    ApiKeyCache keys,
    RefusedLogins refused,
    FailedLogins failures,
    UserPodOptions pods,
    TimeProvider time,
    ILogger<SessionsApi> logger)
{
    private const string Path = "/api/v1/session";

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("POST", Path, AccessLevel.Nothing,
            "Sign in: exchange an API key for a cookie that browsers send with later requests, for 12 h",
            SignInAsync).AcceptsJson<SignIn>().Produces<SessionView>(StatusCodes.Status201Created);
        routes.MapRoute("GET", Path, AccessLevel.AuthenticatedKey, "Get the session of the request's cookie",
            ReadAsync).Produces<SessionView>();
        routes.MapRoute("DELETE", Path, AccessLevel.Nothing, "Sign out: end the session, and delete its cookie",
            SignOutAsync).Produces(StatusCodes.Status204NoContent);
    }

    private async Task SignInAsync(HttpContext context)
    {
        var request = SessionAuthentication.Read(context);
        if (await IsRefusedAsync(context, request)) return;
        if (pods.UsesPaths)
        {
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden,
                "SLUICE_POD_ROUTING is 'path', so pages of pods have the origin of the gateway, and could use the "
                + "session. Set it to 'subdomain' to sign in.");
            return;
        }

        if (await JsonBody.ReadAsync(context) is not { } body) return;
        if (body.Node is not JsonObject given || given["key"] is not JsonValue value
            || !value.TryGetValue<string>(out var text))
        {
            await JsonBody.RefuseAsync(context, [new FieldError("key", "", "the text of an API key")]);
            return;
        }

        var verdict = keys.Find(text.Trim(), time.GetUtcNow(), out var caller);
        if (caller is null)
        {
            await RejectAsync(context, verdict, text.Trim());
            return;
        }

        await EndAsync(context, request);
        var (token, session) = await sessions.CreateAsync(caller, context.RequestAborted);
        SessionCookie.Set(context.Response, token, request.IsSecure);
        SignedIn(caller.KeyId, context.Connection.RemoteIpAddress?.ToString() ?? "");
        context.Response.StatusCode = StatusCodes.Status201Created;
        await WriteAsync(context, caller, session);
    }

    private async Task ReadAsync(HttpContext context)
    {
        if (context.Features.Get<Session>() is { } session)
        {
            await WriteAsync(context, context.Admission().Caller!, session);
            return;
        }

        await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized,
            $"The request has an API key, and no session. Sign in with POST {Path}.");
    }

    private async Task SignOutAsync(HttpContext context)
    {
        var request = SessionAuthentication.Read(context);
        if (await IsRefusedAsync(context, request)) return;
        await EndAsync(context, request);
        SessionCookie.Clear(context);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <summary>
    /// Refuses the pages of other origins: they could otherwise sign a browser in with a key of theirs, or out.
    /// </summary>
    private async Task<bool> IsRefusedAsync(HttpContext context, SessionRequest request)
    {
        if (request.FindObstacle() is not { } obstacle) return false;
        SignInRefused(context.Request.Method, obstacle);
        await Problem.WriteAsync(context, StatusCodes.Status403Forbidden, obstacle);
        return true;
    }

    private async Task RejectAsync(HttpContext context, KeyVerdict verdict, string text)
    {
        var (decision, detail) =
            Access.Decide(AccessLevel.AuthenticatedKey, verdict, caller: null, target: "", deployment: null);
        if (decision == AccessVerdict.CannotCheck)
        {
            await Problem.WriteAsync(
                context, StatusCodes.Status503ServiceUnavailable, detail, TimeSpan.FromSeconds(1));
            return;
        }

        refused.Count(context.Connection.RemoteIpAddress, verdict,
            ApiKeyFormat.TryReadId(text, out var id) ? id.ToString() : "", $"POST {Path}");
        if (await failures.TryCountAsync(context))
            await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized, detail);
    }

    private async Task EndAsync(HttpContext context, SessionRequest request)
    {
        if (SessionCookie.Find(context.Request.Headers.Cookie, request.IsSecure) is { } token)
            await sessions.DeleteAsync(token, context.RequestAborted);
    }

    private async Task WriteAsync(HttpContext context, Caller caller, Session session)
    {
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(
            new SessionView(await own.ReadOwnAsync(caller, context.RequestAborted), session.ExpiresAt),
            context.RequestAborted);
    }

    /// <summary>The body of a sign-in. <paramref name="Key"/> is the text of an API key.</summary>
    public sealed record SignIn(string Key);

    /// <summary>A session: its key as <c>GET /api/v1/key</c> shows it, and when the session ends.</summary>
    public sealed record SessionView(KeysApi.OwnKey Key, DateTimeOffset ExpiresAt);

    [LoggerMessage(LogLevel.Information, "Key {Key} signed in from {Address}")]
    private partial void SignedIn(string key, string address);

    [LoggerMessage(LogLevel.Information, "A {Method} of a session was refused: {Reason}")]
    private partial void SignInRefused(string method, string reason);
}
