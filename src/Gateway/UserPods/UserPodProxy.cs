using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Domain.Declarations;
using Sluice.Storage.UserPods;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Forwards requests to the HTTP ports of pods. It authenticates by itself: programs send an API key, browsers the
/// cookie of a one-time link (<see cref="UserPodLinks"/>). A host name of a pod serves that pod only, and no route of
/// the gateway.
/// </summary>
public sealed partial class UserPodProxy(
    UserPodRouting routing,
    UserPodCatalog catalog,
    UserPodLinks links,
    UserPodConnections connections,
    ApiKeyCache keys,
    IHttpForwarder forwarder,
    WorkerClients clients,
    TimeProvider time,
    ILogger<UserPodProxy> logger)
{
    /// <summary>
    /// A notebook may be silent for longer than any fixed time. The connection ends with the client, the pod, its key
    /// or its cookie.
    /// </summary>
    private static readonly ForwarderRequestConfig Forwarding = new()
    {
        ActivityTimeout = Timeout.InfiniteTimeSpan,
        Version = System.Net.HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    /// <summary>Middleware that serves the host names of pods. Other requests continue.</summary>
    public Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        routing.TryRead(context.Request.Host.Host, out var podId, out var port)
            ? ServeAsync(context, podId, port) : next(context);

    /// <summary>Maps the paths of pods, if the gateway uses paths.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        if (!routing.UsesPaths) return;
        routes.Map(UserPodRouting.PathPrefix + "/{pod}/{port}/{**path}", ServePathAsync)
            .WithMetadata(new AccessRule(AccessLevel.Nothing), new GatewayExceptionHandler.Relayed())
            .WithName("pod").WithSummary("Forward any method and path to an HTTP port of a pod");
    }

    private Task ServePathAsync(HttpContext context)
    {
        var values = context.Request.RouteValues;
        if (!UserPodRouting.TryRead((string)values["pod"]!, (string)values["port"]!, out var podId, out var port))
            return Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                $"The path '{context.Request.Path}' names no pod; expected /pods/ID/PORT/.");
        // Relative links of a page need the slash.
        if (values["path"] is null && !context.Request.Path.Value!.EndsWith('/'))
        {
            context.Response.Redirect(context.Request.Path + "/" + context.Request.QueryString);
            return Task.CompletedTask;
        }

        return ServeAsync(context, podId, port);
    }

    private async Task ServeAsync(HttpContext context, string podId, int port)
    {
        try
        {
            if (await links.ServeAsync(context, podId, port)) return;
            var access = await AuthenticateAsync(context, podId);
            if (access is null) return;
            if (catalog.Find(podId) is not { } entry)
            {
                await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"The pod '{podId}' does not exist.");
                return;
            }

            if (await WhyNotAsync(context, entry, port)) return;
            await ForwardAsync(context, entry, port, access);
        }
        catch (Exception e)
        {
            await GatewayExceptionHandler.AnswerAsync(context, e, logger);
        }
    }

    /// <summary>
    /// Returns who uses the pod, or writes a response and returns null. An unknown pod gets the same response as one
    /// that the caller may not open.
    /// </summary>
    private async Task<Access?> AuthenticateAsync(HttpContext context, string podId)
    {
        var now = time.GetUtcNow();
        var pod = (catalog.Find(podId) ?? await catalog.FindAsync(podId, context.RequestAborted))?.Pod;
        var verdict = ReadKey(context.Request, now, out var caller);
        if (caller is not null)
        {
            if (pod is null ? caller.Scope.Admin : caller.Scope.MayOpenPod(podId, pod.Owner == caller.KeyId))
                return new Access(caller.KeyId, DateTimeOffset.MaxValue, HasKey: true);
            await UserPodPages.RefuseAsync(context, StatusCodes.Status403Forbidden,
                $"Key {caller.KeyId} may not open pod '{podId}'.");
            return null;
        }

        var cookie = await links.FindCookieAsync(context, podId);
        if (cookie is null || pod is null || !connections.IsAllowed(cookie.KeyId, pod))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"sluice\"";
            var expired = verdict is KeyVerdict.Missing ? "" : " The API key of the request is not valid.";
            await UserPodPages.RefuseAsync(context, StatusCodes.Status401Unauthorized,
                $"This pod opens with a link: request one with POST /api/v1/pods/{podId}/links and an API key."
                + expired);
            return null;
        }

        if (!UserPodRequestFacts.Read(context.Request, routing).MayUseCookie())
        {
            CrossSiteRequestRefused(podId, context.Request.Headers.Origin.ToString(), context.Request.Path);
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden,
                $"The request comes from a page of another origin ('{context.Request.Headers.Origin}'); "
                + "expected a page of the pod.");
            return null;
        }

        return new Access(cookie.KeyId, cookie.ExpiresAt, HasKey: false);
    }

    /// <summary>Finds a key in the headers. A token that is no API key may be one of the pod's own program.</summary>
    private KeyVerdict ReadKey(HttpRequest request, DateTimeOffset now, out Caller? caller)
    {
        caller = null;
        var text = request.Headers.Authorization.ToString().AsSpan().Trim();
        const string bearer = "Bearer ";
        if (text.StartsWith(bearer, StringComparison.OrdinalIgnoreCase))
            return keys.Find(text[bearer.Length..].Trim(), now, out caller);
        return SocketKey.Find(request.Headers) is { } offered
            ? keys.Find(offered, now, out caller) : KeyVerdict.Missing;
    }

    /// <summary>Writes why a request cannot be forwarded. Returns false if it can.</summary>
    private static async Task<bool> WhyNotAsync(HttpContext context, UserPodEntry entry, int port)
    {
        var (pod, state, _) = entry;
        if (!pod.Spec.OpensHttp(port))
        {
            var open = string.Join(", ", pod.Spec.OpenPorts.Where(p => p.IsHttp).Select(p => p.Number));
            if (open.Length == 0) open = "no port, because it has none";
            await UserPodPages.RefuseAsync(context, StatusCodes.Status404NotFound,
                $"Port {port} of pod '{pod.Id}' is not open; expected {open}.");
            return true;
        }

        var status = UserPodActions.StatusOf(pod, state);
        if (pod.Goal == UserPodGoal.Running && state.Addresses.Any(a => a.Port == port)) return false;
        var starts = pod.Goal == UserPodGoal.Running;
        var reason = state.Reason.Length > 0 ? $": {state.Reason}" : "";
        await UserPodPages.RefuseAsync(context, StatusCodes.Status503ServiceUnavailable,
            $"Pod '{pod.Id}' is {status.ToString().ToUpperInvariant()}{reason}."
            + (starts ? "" : $" Start it with POST /api/v1/pods/{pod.Id}/start."),
            starts ? TimeSpan.FromSeconds(2) : default);
        return true;
    }

    private async Task ForwardAsync(HttpContext context, UserPodEntry entry, int port, Access access)
    {
        var pod = entry.Pod;
        var skip = routing.KeepsPath(pod.Spec) ? 0 : 3;
        if (RequestTarget.Read(context, skip, out var target) is { } why)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, why);
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        using var connection = connections.Open(pod.Id, port, access.KeyId, access.ExpiresAt, context.RequestAborted);
        if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
        {
            connection.IsUpgraded = true;
            context.Features.Set<IHttpUpgradeFeature>(
                new ObservedUpgrade(upgrade, () => connections.RecordActivity(pod.Id)));
        }

        var address = entry.State.Addresses.First(a => a.Port == port);
        var transformer = new UserPodTransformer(pod, port, target, routing, access.HasKey);
        var error = await forwarder.SendAsync(context, $"http://{address.Host}:{address.Number}",
            clients.For(WorkerProtocol.Http1), Forwarding, transformer, connection.Ended);
        connections.RecordActivity(pod.Id);
        if (error == ForwarderError.None || context.RequestAborted.IsCancellationRequested) return;
        if (connection.WasCut)
        {
            context.Abort();
            return;
        }

        UserPodRequestFailed(pod.Id, port, error, context.Features.Get<IForwarderErrorFeature>()?.Exception?.Message);
        if (!context.Response.HasStarted)
            await UserPodPages.RefuseAsync(context, StatusCodes.Status502BadGateway,
                $"Nothing responds on port {port} of pod '{pod.Id}'. Its log shows what its program does: "
                + $"GET /api/v1/pods/{pod.Id}/logs.", TimeSpan.FromSeconds(2));
    }

    /// <summary>Who uses a pod.</summary>
    /// <param name="KeyId">The id of the API key.</param>
    /// <param name="ExpiresAt">When the right ends, apart from the key.</param>
    /// <param name="HasKey">Whether the request has the key itself, in a header.</param>
    private sealed record Access(string KeyId, DateTimeOffset ExpiresAt, bool HasKey);

    [LoggerMessage(LogLevel.Information, "A request to pod {Pod} was refused: it comes from {Origin} ({Path})")]
    private partial void CrossSiteRequestRefused(string pod, string origin, string path);

    [LoggerMessage(LogLevel.Information, "A request to port {Port} of pod {Pod} failed: {Reason} ({Error})")]
    private partial void UserPodRequestFailed(string pod, int port, ForwarderError reason, string? error);
}
