using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Http;
using Sluice.Gateway.Tokens;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Transforms requests to a worker and its responses: it sets the path and the credentials, applies
/// <see cref="HeaderRules"/> to the headers and rejects responses by <see cref="AnswerRules"/>.
/// </summary>
public sealed class WorkerTransformer(ForwardState state) : HttpTransformer
{
    /// <summary>The number of generated tokens, as a trailer of a stream. Clients do not get it.</summary>
    public const string TokensHeader = "X-Sluice-Tokens";

    /// <summary>
    /// Marks a request of an admin key. It is removed from client requests, as all headers that begin with X-Sluice
    /// are.
    /// </summary>
    public const string AdminHeader = "X-Sluice-Admin";

    /// <summary>
    /// Marks a request without a key, for the built-in worker, which decides per path what such a caller may use.
    /// </summary>
    public const string AnonymousHeader = "X-Sluice-Anonymous";

    /// <summary>
    /// The flow of the request, for the built-in worker: texts of different flows share no key/value cache. The value
    /// is the id of the caller's key, which is not secret.
    /// </summary>
    public const string FlowHeader = "X-Sluice-Flow";

    private static readonly UriCreationOptions Exact = new() { DangerousDisablePathAndQueryCanonicalization = true };

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest,
        string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        foreach (var (name, _) in httpContext.Request.Headers)
            if (HeaderRules.StripFromRequest(name)) Remove(proxyRequest, name);
        const StringSplitOptions split = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;
        foreach (var named in httpContext.Request.Headers.Connection)
            foreach (var name in (named ?? "").Split(',', split))
                if (!IsUpgrade(name)) Remove(proxyRequest, name);
        if (httpContext.Request.Headers.TryGetValue(SocketKey.Header, out var offered)
            && SocketKey.WithoutKey(offered) is { } rest)
        {
            Remove(proxyRequest, SocketKey.Header);
            if (rest.Length > 0) proxyRequest.Headers.TryAddWithoutValidation(SocketKey.Header, rest);
        }

        proxyRequest.Headers.Host = null;
        ForwardedHeaders.Add(proxyRequest, httpContext.Request, state.Template, state.IsSecure);
        proxyRequest.Headers.TryAddWithoutValidation("Authorization", state.Worker!.Authorization);
        if (state.Admin) proxyRequest.Headers.TryAddWithoutValidation(AdminHeader, "1");
        if (state.Anonymous && state.Template.IsBuiltIn)
            proxyRequest.Headers.TryAddWithoutValidation(AnonymousHeader, "1");
        if (state.Template.IsBuiltIn) proxyRequest.Headers.TryAddWithoutValidation(FlowHeader, state.Flow);
        if (state.IsRepeatable) AskForMarks(proxyRequest);
        if (state.CountsTokens) proxyRequest.Headers.TryAddWithoutValidation(TokenUsage.IdHeader, state.UsageId);
        state.Trace?.Write(proxyRequest.Headers, state.Forward);
        proxyRequest.Headers.Remove("X-Request-Id");
        proxyRequest.Headers.TryAddWithoutValidation("X-Request-Id", httpContext.TraceIdentifier);
        // The path is sent as the client wrote it: Uri would otherwise decode and normalize it a second time.
        proxyRequest.RequestUri = new Uri(destinationPrefix + state.Target, Exact);
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext,
        HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
            return await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        var isHead = HttpMethods.IsHead(httpContext.Request.Method);
        if (FindFault(proxyResponse, isHead, IsUpgrade(httpContext)) is { } fault)
        {
            state.Fault = fault;
            httpContext.Response.StatusCode = StatusCodes.Status502BadGateway;
            return false;
        }

        await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        var headers = httpContext.Response.Headers;
        var ownsCors = httpContext.Features.Get<CorsPolicy>() is not null;
        var cookies = state.Template.PassCookies ? headers.SetCookie : default;
        foreach (var (name, _) in proxyResponse.Headers.NonValidated)
            if (HeaderRules.StripFromResponse(name) || (ownsCors && HeaderRules.IsCors(name))) headers.Remove(name);
        if (cookies.Count > 0) headers.SetCookie = ForwardedHeaders.KeepBelow(cookies, $"/e/{state.Endpoint.Id}/");
        if (proxyResponse.StatusCode == HttpStatusCode.SwitchingProtocols && !headers.ContainsKey(SocketKey.Header)
            && httpContext.Request.Headers.TryGetValue(SocketKey.Header, out var offered)
            && SocketKey.OffersOwn(offered))
            headers[SocketKey.Header] = SocketKey.Own;
        if (state.Template is { PassHost: false, PassCookies: false } && WorkerPages.MayBePage(headers.ContentType))
            headers.Append("Content-Security-Policy", WorkerPages.Policy);
        var empty = AnswerRules.HasNoContent(proxyResponse.StatusCode);
        if (empty)
        {
            // The server does not allow these headers with this status.
            headers.ContentLength = null;
            headers.Remove("Transfer-Encoding");
        }

        headers["Server-Timing"] = TimingOf(proxyResponse);
        headers["X-Sluice-Worker"] = state.Worker!.PodId;
        headers["X-Request-Id"] = httpContext.TraceIdentifier;
        ReplaceContent(httpContext, proxyResponse);
        return !empty;
    }

    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse,
        CancellationToken cancellationToken)
    {
        if (TokenUsage.Find(proxyResponse.TrailingHeaders) is { } usage) state.Usage = usage;
        proxyResponse.TrailingHeaders.Remove(TokensHeader);
        proxyResponse.TrailingHeaders.Remove(TokenUsage.Header);
        return base.TransformResponseTrailersAsync(httpContext, proxyResponse, cancellationToken);
    }

    /// <summary>Returns where the time of a request went, with the worker's part.</summary>
    internal string TimingOf(HttpResponseMessage response) => state.ServerTiming(
        response.Headers.NonValidated.TryGetValues("Server-Timing", out var timing) ? timing.ToString() : null);

    /// <summary>Asks a worker for a stream that can be continued, or for the rest of one.</summary>
    private void AskForMarks(HttpRequestMessage request)
    {
        request.Headers.TryAddWithoutValidation(ResumableStream.Header, state.Stream?.Announced ?? "1");
        if (state.Stream is { } stream)
            request.Headers.TryAddWithoutValidation(
                ResumableStream.MarksHeader, stream.Marks.Length.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Returns why a response of a worker is not forwarded, or null.</summary>
    internal string? FindFault(HttpResponseMessage response, bool isHead, bool isUpgrade) =>
        AnswerRules.Fault(response, isHead, isUpgrade)
        // The client's key is valid. The worker rejected the pod's token, which the gateway sent.
        ?? (state.Template.IsBuiltIn && response.StatusCode == HttpStatusCode.Unauthorized
            ? "The worker rejected the gateway's token."
            : null);

    /// <summary>Reads the response through streams that remove the marks and find the usage.</summary>
    internal void ReplaceContent(HttpContext context, HttpResponseMessage response)
    {
        ReadUsage(response);
        if (state.IsRepeatable) RemoveMarks(context, response);
        ScanUsage(response);
        CountBytes(context, response);
    }

    /// <summary>Counts the bytes of the body: by its length, or as it is read.</summary>
    private void CountBytes(HttpContext context, HttpResponseMessage response)
    {
        if (HttpMethods.IsHead(context.Request.Method) || response.StatusCode == HttpStatusCode.SwitchingProtocols)
            return;
        if (response.Content.Headers.ContentLength is { } length) state.BytesOut += length;
        else response.Content = new WrappedContent(response.Content, body => new CountedStream(body, state));
    }

    /// <summary>Removes the marks from the response, if the worker announced them.</summary>
    private void RemoveMarks(HttpContext context, HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK
            || !response.Headers.NonValidated.TryGetValues(ResumableStream.Header, out var values)
            || values.ToString() is not { Length: > 0 and <= ResumableStream.MaxAnnouncedLength } announced)
            return;
        // The marks cannot be in front of a body that is encoded.
        var canResume = state.Endpoint.Forwarding.MaxAttempts > 1
            && context.Request.Headers.ContentEncoding.ToString() is "" or "identity";
        state.Stream?.Dispose();
        state.Stream = new ResumableStream(announced, canResume);
        var stream = state.Stream;
        response.Content = new WrappedContent(response.Content, body => new MarkedEvents(body, stream));
        if (!context.Response.HasStarted) context.Response.ContentLength = null;
    }

    /// <summary>Reads the usage that the worker reports in the headers: of a stream, only that at its start.</summary>
    internal void ReadUsage(HttpResponseMessage response)
    {
        if (!state.CountsTokens) return;
        var reported = TokenUsage.Find(response.Headers);
        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream") state.UsageAtStart = reported;
        else state.Usage = reported;
    }

    /// <summary>Scans a body whose usage the worker did not report, and a stream without marks.</summary>
    private void ScanUsage(HttpResponseMessage response)
    {
        if (!state.CountsTokens || state.Stream is not null || state.Usage is not null
            || response.Content.Headers.ContentEncoding.Count > 0 || response.StatusCode != HttpStatusCode.OK) return;
        var scanner = state.Scanner = new UsageScanner();
        response.Content = new WrappedContent(response.Content, body => new ScannedStream(body, scanner));
    }

    private static bool IsUpgrade(HttpContext context) =>
        context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true };

    private static bool IsUpgrade(string name) => name.Equals("Upgrade", StringComparison.OrdinalIgnoreCase);

    private static void Remove(HttpRequestMessage request, string name)
    {
        // Contains is called first, because Remove throws for a header that belongs to the other collection.
        if (request.Headers.NonValidated.Contains(name)) request.Headers.Remove(name);
        else if (request.Content?.Headers.NonValidated.Contains(name) == true) request.Content.Headers.Remove(name);
    }
}
