using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// What changes between client and worker: the path, the credentials, the headers of <see cref="HeaderRules"/>, and
/// answers that cannot be told from cut ones.
/// </summary>
public sealed class WorkerTransformer(ForwardState state) : HttpTransformer
{
    /// <summary>Set by the built-in worker on generated text: tokens made. A trailer where the answer streams.</summary>
    public const string TokensHeader = "X-Sluice-Tokens";

    /// <summary>Told of an admin's request; from a client it does not pass, as everything that begins with X-Sluice.</summary>
    public const string AdminHeader = "X-Sluice-Admin";

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest,
        string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        foreach (var (name, _) in httpContext.Request.Headers)
            if (HeaderRules.StripFromRequest(name)) Remove(proxyRequest, name);
        foreach (var named in httpContext.Request.Headers.Connection)
            foreach (var name in (named ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
                if (!IsUpgrade(name)) Remove(proxyRequest, name);
        proxyRequest.Headers.Host = null;
        proxyRequest.Headers.TryAddWithoutValidation("Authorization", state.Worker!.Authorization);
        if (state.Admin) proxyRequest.Headers.TryAddWithoutValidation(AdminHeader, "1");
        proxyRequest.Headers.Remove("X-Request-Id");
        proxyRequest.Headers.TryAddWithoutValidation("X-Request-Id", httpContext.TraceIdentifier);
        proxyRequest.RequestUri = new Uri(destinationPrefix + state.Path + httpContext.Request.QueryString.Value);
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext,
        HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null) return await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        if (IsUnframed(httpContext, proxyResponse))
        {
            state.Fault = "the worker's answer has neither a length nor chunks: its end could not be told from a cut";
            httpContext.Response.StatusCode = StatusCodes.Status502BadGateway;
            return false;
        }

        if (state.Template.IsBuiltIn && proxyResponse.StatusCode == HttpStatusCode.Unauthorized)
        {
            // Ours, not the client's: the client's key was good, the pod's token was not.
            state.Fault = "the worker refused the gateway's token";
            httpContext.Response.StatusCode = StatusCodes.Status502BadGateway;
            return false;
        }

        await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        var headers = httpContext.Response.Headers;
        foreach (var (name, _) in proxyResponse.Headers.NonValidated)
            if (HeaderRules.StripFromResponse(name)) headers.Remove(name);
        CountTokens(proxyResponse.Headers);
        headers["Server-Timing"] = state.ServerTiming(
            proxyResponse.Headers.NonValidated.TryGetValues("Server-Timing", out var timing) ? timing.ToString() : null);
        headers["X-Sluice-Worker"] = state.Worker!.PodId;
        headers["X-Request-Id"] = httpContext.TraceIdentifier;
        return true;
    }

    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse,
        CancellationToken cancellationToken)
    {
        CountTokens(proxyResponse.TrailingHeaders);
        proxyResponse.TrailingHeaders.Remove(TokensHeader);
        return base.TransformResponseTrailersAsync(httpContext, proxyResponse, cancellationToken);
    }

    /// <summary>HTTP/1 lets a body end with the connection; a worker that was killed then looks complete.</summary>
    private static bool IsUnframed(HttpContext context, HttpResponseMessage response) =>
        response.Version.Major < 2
        && response.Content.Headers.ContentLength is null
        && response.Headers.TransferEncodingChunked != true
        && !HttpMethods.IsHead(context.Request.Method)
        && response.StatusCode is not (HttpStatusCode.NoContent or HttpStatusCode.NotModified)
        && (int)response.StatusCode >= 200;

    private void CountTokens(HttpResponseHeaders headers)
    {
        if (headers.NonValidated.TryGetValues(TokensHeader, out var values)
            && long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var tokens))
            state.Tokens = tokens;
    }

    private static bool IsUpgrade(string name) => name.Equals("Upgrade", StringComparison.OrdinalIgnoreCase);

    private static void Remove(HttpRequestMessage request, string name)
    {
        // Asked first: a header of the one collection makes the other's Remove throw.
        if (request.Headers.NonValidated.Contains(name)) request.Headers.Remove(name);
        else if (request.Content?.Headers.NonValidated.Contains(name) == true) request.Content.Headers.Remove(name);
    }
}
