using System.Diagnostics;
using Microsoft.Extensions.Primitives;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Gateway.Http;
using Sluice.Gateway.Selection;
using Sluice.Storage.Catalog;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Middleware that authenticates and authorizes every request before its route runs: it reads the key and applies
/// <see cref="Access"/>. A route without an <see cref="AccessRule"/> requires the scope <c>admin</c>.
/// </summary>
public sealed partial class ApiKeyAuthenticationMiddleware(
    ApiKeyCache keys,
    CatalogWatcher catalog,
    RateLimits limits,
    StatusPollRateLimiter polls,
    RefusedLogins refused,
    FailedLogins failures,
    SocketTickets tickets,
    SessionAuthentication sessions,
    TimeProvider time,
    ILogger<ApiKeyAuthenticationMiddleware> logger)
{
    private const string DeclarationsLost = "Redis has lost the declarations of all endpoints. The manifest restores "
        + "them in a few seconds; what was declared through the API must be declared again.";

    private static readonly AccessRule AdminOnly = new(AccessLevel.Admin);

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint() is not { } route) return next(context);

        var started = Stopwatch.GetTimestamp();
        var key = ReadKey(context, out var caller);
        if (key == KeyVerdict.Missing && route.Metadata.GetMetadata<AcceptsSocketTickets>() is not null
            && SocketTicketUrl.IsHandshake(context)
            && SocketTicketUrl.Find(context.Request.QueryString.Value ?? "") is { } ticket)
            return RedeemAsync(context, next, route, started, ticket);
        if (key == KeyVerdict.Missing && SessionAuthentication.FindToken(context) is { } token)
            return ContinueSessionAsync(context, next, route, started, token);
        return SelectAsync(context, next, route, started, key, caller);
    }

    /// <summary>Continues with the caller of a session. The page of another origin cannot use it.</summary>
    private async Task ContinueSessionAsync(HttpContext context, RequestDelegate next,
        Microsoft.AspNetCore.Http.Endpoint route, long started, string token)
    {
        if (SessionAuthentication.Read(context).FindObstacle() is { } obstacle)
        {
            SessionRequestRefused(context.Request.Path, obstacle);
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden, obstacle);
            return;
        }

        var (key, caller, session) = await sessions.FindAsync(token, context.RequestAborted);
        if (session is not null)
        {
            context.Features.Set(session);
            SessionAuthentication.Protect(context.Response);
        }

        await SelectAsync(context, next, route, started, key, caller);
    }

    /// <summary>Continues with the caller of a ticket. A page of another origin does not use the ticket.</summary>
    private async Task RedeemAsync(HttpContext context, RequestDelegate next,
        Microsoft.AspNetCore.Http.Endpoint route, long started, string ticket)
    {
        var origin = context.Request.Headers.Origin.ToString();
        if (!SocketTicketUrl.Accepts(origin, context.Request.Host, context.Features.Get<CorsPolicy>()))
        {
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden,
                $"The origin is '{QuotedText.Shorten(origin)}'; expected the gateway's own "
                + "origin, or one that SLUICE_CORS_ORIGINS, or cors.origins of the endpoint, allows.");
            return;
        }

        var (key, caller) = await tickets.RedeemAsync(ticket, context.RequestAborted);
        await SelectAsync(context, next, route, started, key, caller);
    }

    private Task SelectAsync(HttpContext context, RequestDelegate next, Microsoft.AspNetCore.Http.Endpoint route,
        long started, KeyVerdict key, Caller? caller)
    {
        // A request with an invalid key is rejected whatever it selects, so its body is not read.
        if (caller is null && key is not (KeyVerdict.Missing or KeyVerdict.SessionEnded))
            return AuthorizeAsync(context, next, started, key, caller, EndpointSelection.None);
        var selector = route.Metadata.GetMetadata<IEndpointSelector>() ?? RouteSelector.Instance;
        // Without a key, a request can only select a public endpoint. If there is none, its body is not read either.
        if (caller is null && selector != RouteSelector.Instance
            && !catalog.Current.Deployments.Any(d => d.Endpoint.Public))
            return AuthorizeAsync(context, next, started, key, caller, EndpointSelection.None);
        var selecting = selector.SelectAsync(context);
        return selecting.IsCompletedSuccessfully
            ? AuthorizeAsync(context, next, started, key, caller, selecting.Result)
            : WaitAsync();

        async Task WaitAsync() => await AuthorizeAsync(context, next, started, key, caller, await selecting);
    }

    private Task AuthorizeAsync(HttpContext context, RequestDelegate next, long started, KeyVerdict key,
        Caller? caller, EndpointSelection selection)
    {
        if (selection.Error is { } error) return Problem.WriteAsync(context, selection.ErrorStatus, error);
        var metadata = context.GetEndpoint()!.Metadata;
        var rule = metadata.GetMetadata<AccessRule>() ?? AdminOnly;
        var deployment = selection.FindIn(catalog.Current);
        var (verdict, detail) = Access.Decide(rule.Level, key, caller, selection.Name, deployment);
        if (verdict == AccessVerdict.CannotCheck && keys.LastFault is var fault and not RedisFault.None)
            detail = $"API keys cannot be checked now. {fault.Sentence()}";
        if (verdict == AccessVerdict.NoEndpoint && catalog.HasLostDeclarations)
            (verdict, detail) = (AccessVerdict.CannotCheck, DeclarationsLost);
        if (verdict == AccessVerdict.NoEndpoint)
            detail = (selection.IsModel ? $"No endpoint serves the model '{selection.Name}'." : detail)
                + SuggestName(selection, caller!);
        if (verdict != AccessVerdict.Granted) return RejectAsync(context, verdict, detail, key, selection.IsModel);
        var admission = new AuthenticatedRequest(caller, deployment, Stopwatch.GetElapsedTime(started), started)
        {
            Model = selection.IsModel ? selection.Name : null,
        };
        context.Admit(deployment is null ? admission
            : admission.SendTo(CanaryRouting.Find(context, catalog.Current, deployment, admission.Model)));
        if (metadata.GetMetadata<Polled>() is not null)
        {
            var rest = next;
            next = c => polls.InvokeAsync(c, caller, rest);
        }

        return rule.IsOfEndpoint && caller is { Limits.Any: true }
            ? limits.InvokeAsync(context, caller, next)
            : next(context);
    }

    /// <summary>Reads the key from a header. Keys in URLs are not accepted, because URLs are written to logs.</summary>
    private KeyVerdict ReadKey(HttpContext context, out Caller? caller)
    {
        caller = null;
        var values = context.Request.Headers.Authorization;
        if (values.Count == 0)
            return SocketKey.Find(context.Request.Headers) is { } offered
                ? keys.Find(offered, time.GetUtcNow(), out caller)
                : KeyVerdict.Missing;
        var text = KeyText(values);
        return text.IsEmpty ? KeyVerdict.Missing : keys.Find(text, time.GetUtcNow(), out caller);
    }

    private static ReadOnlySpan<char> KeyText(StringValues header)
    {
        const string bearer = "Bearer ";
        var text = header.ToString().AsSpan().Trim();
        return text.StartsWith(bearer, StringComparison.OrdinalIgnoreCase) ? text[bearer.Length..].Trim() : text;
    }

    /// <summary>Returns the id in the key of a request, whether the key is valid or not.</summary>
    private static string ReadKeyId(HttpContext context) =>
        ApiKeyFormat.TryReadId(KeyText(context.Request.Headers.Authorization), out var id) ? id.ToString() : "";

    /// <summary>Returns a suggestion from the endpoints that the caller may use, or an empty text.</summary>
    private string SuggestName(EndpointSelection selection, Caller caller)
    {
        var usable = catalog.Current.Deployments.Select(d => d.Endpoint)
            .Where(e => e.Public || caller.Scope.MayInvoke(e.Id));
        return selection.IsModel
            ? NameSuggestion.ForModel(selection.Name, usable)
            : NameSuggestion.For(selection.Name, usable.Select(e => e.Id));
    }

    private async Task RejectAsync(
        HttpContext context,
        AccessVerdict verdict,
        string detail,
        KeyVerdict key,
        bool namesModel)
    {
        if (verdict == AccessVerdict.Forbidden
            || (verdict == AccessVerdict.NotAuthenticated && key != KeyVerdict.Missing))
            refused.Count(context.Connection.RemoteIpAddress, key,
                context.Features.Get<Session>()?.KeyId ?? ReadKeyId(context),
                $"{context.Request.Method} {context.Request.Path}");
        if (verdict == AccessVerdict.NotAuthenticated)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"sluice\"";
            if (key != KeyVerdict.Missing && !await failures.TryCountAsync(context)) return;
        }

        await Problem.WriteAsync(context, verdict switch
        {
            AccessVerdict.NotAuthenticated => StatusCodes.Status401Unauthorized,
            AccessVerdict.Forbidden => StatusCodes.Status403Forbidden,
            AccessVerdict.NoEndpoint => StatusCodes.Status404NotFound,
            AccessVerdict.CannotCheck => StatusCodes.Status503ServiceUnavailable,
            _ => throw new ArgumentOutOfRangeException(nameof(verdict), verdict, "not a refusal"),
        }, detail, verdict == AccessVerdict.CannotCheck ? TimeSpan.FromSeconds(1) : default,
            namesModel: namesModel && verdict == AccessVerdict.NoEndpoint);
    }

    [LoggerMessage(LogLevel.Information, "A request with a session to {Path} was refused: {Reason}")]
    private partial void SessionRequestRefused(string path, string reason);
}
