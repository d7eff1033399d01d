using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Hosting.UserPods;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Transforms requests to the program of a pod and its responses, so that a web application works as if the browser
/// were connected to it: it gets the host of the URL, cookies, and forwarded headers, and may set cookies. The
/// credentials of the gateway are removed, and Jupyter gets its own token.
/// </summary>
internal sealed class UserPodTransformer(
    UserPod pod, int port, string target, UserPodRouting routing, bool hasGatewayKey) : HttpTransformer
{
    /// <summary>
    /// Response headers that would affect more than the pod: the transport of a whole domain, its cookies, or a reverse
    /// proxy in front of the gateway.
    /// </summary>
    private static readonly FrozenSet<string> Removed = new[]
    {
        "Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data", "Public-Key-Pins", "Public-Key-Pins-Report-Only",
        "Expect-CT", "NEL", "Report-To", "X-Sendfile", "X-LIGHTTPD-send-file", "X-Reproxy-URL", "Surrogate-Control",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly UriCreationOptions Exact = new() { DangerousDisablePathAndQueryCanonicalization = true };

    private readonly string prefix =
        string.Create(CultureInfo.InvariantCulture, $"{UserPodRouting.PathPrefix}/{pod.Id}/{port}/");

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest,
        string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        var (request, headers) = (httpContext.Request, proxyRequest.Headers);
        foreach (var (name, _) in request.Headers)
            if (name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase)
                || name.StartsWith("X-Sluice-", StringComparison.OrdinalIgnoreCase)
                || name.Equals("Forwarded", StringComparison.OrdinalIgnoreCase)
                || name.Equals("X-Real-IP", StringComparison.OrdinalIgnoreCase)) headers.Remove(name);
        headers.Host = request.Host.Value;
        headers.TryAddWithoutValidation("X-Forwarded-Proto", routing.IsSecure ? "https" : "http");
        headers.TryAddWithoutValidation("X-Forwarded-Host", request.Host.Value);
        headers.TryAddWithoutValidation("X-Forwarded-For", httpContext.Connection.RemoteIpAddress?.ToString() ?? "");
        headers.Remove("Cookie");
        var withoutSession = SessionCookie.Remove(request.Headers.Cookie);
        if (UserPodCookie.Without(withoutSession, UserPodCookie.NameOf(routing)) is { } cookies)
            headers.TryAddWithoutValidation("Cookie", cookies);
        if (hasGatewayKey) headers.Remove("Authorization");
        if (request.Headers.TryGetValue(SocketKey.Header, out var offered)
            && SocketKey.WithoutKey(offered) is { } rest)
        {
            headers.Remove(SocketKey.Header);
            if (rest.Length > 0) headers.TryAddWithoutValidation(SocketKey.Header, rest);
        }

        if (pod.Spec.Application == PodApplication.Jupyter && port == pod.Spec.FirstHttpPort)
        {
            headers.Remove("Authorization");
            headers.TryAddWithoutValidation("Authorization", $"token {UserPodEnvironment.TokenOf(pod)}");
        }

        // The path is sent as the client wrote it: Uri would otherwise decode and normalize it a second time.
        proxyRequest.RequestUri = new Uri(destinationPrefix + target, Exact);
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext,
        HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (!await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken)) return false;
        if (proxyResponse is null) return true;
        var headers = httpContext.Response.Headers;
        foreach (var name in headers.Keys.ToList())
            if (Removed.Contains(name) || name.StartsWith("X-Accel-", StringComparison.OrdinalIgnoreCase)
                || (routing.UsesPaths && name.Equals("Service-Worker-Allowed", StringComparison.OrdinalIgnoreCase)))
                headers.Remove(name);
        if (headers.SetCookie.Count > 0)
            headers.SetCookie = headers.SetCookie.Select(KeepCookie).Where(c => c is not null).ToArray();
        if (proxyResponse.StatusCode == HttpStatusCode.SwitchingProtocols && !headers.ContainsKey(SocketKey.Header)
            && httpContext.Request.Headers.TryGetValue(SocketKey.Header, out var offered)
            && SocketKey.OffersOwn(offered))
            headers[SocketKey.Header] = SocketKey.Own;
        // The program knows nothing of the prefix that was removed from the path.
        if (!routing.KeepsPath(pod.Spec) && headers.Location is [{ } location] && location.StartsWith('/')
            && !location.StartsWith("//", StringComparison.Ordinal))
            headers.Location = prefix + location[1..];
        return true;
    }

    /// <summary>
    /// Returns a cookie that applies to the pod only; null if it would replace that of the gateway.
    /// </summary>
    private string? KeepCookie(string? cookie)
    {
        var text = cookie ?? "";
        if (text.TrimStart().StartsWith(UserPodCookie.NameOf(routing) + "=", StringComparison.Ordinal)
            || SessionCookie.IsSetBy(text)) return null;
        // With paths, a cookie of "/" would be sent to all pods.
        return ForwardedHeaders.KeepBelow(text, routing.UsesPaths ? prefix : "/");
    }
}
