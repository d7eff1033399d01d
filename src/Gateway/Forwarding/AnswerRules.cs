using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>Decides which responses of a worker can be forwarded. Pure.</summary>
public static class AnswerRules
{
    /// <summary>
    /// The maximum number of bytes of header names and values in a response. The HTTP client has the same default
    /// (64 KiB), but over HTTP/2 it closes the whole connection with all other requests on it. The client's own limit
    /// is therefore higher: <see cref="WorkerClients"/>.
    /// </summary>
    public const int MaxHeaderBytes = 64 << 10;

    /// <summary>Returns why a response cannot be forwarded or stored as a result, or null if it can.</summary>
    /// <param name="answer">The status and the headers.</param>
    /// <param name="isHead">Whether the request's method is HEAD, so that the response has no body.</param>
    /// <param name="isUpgrade">Whether the request asks for an upgrade, so that status 101 is a valid response.</param>
    public static string? Fault(HttpResponseMessage answer, bool isHead, bool isUpgrade)
    {
        var status = (int)answer.StatusCode;
        if (status == (int)HttpStatusCode.SwitchingProtocols)
            return isUpgrade
                ? null
                : "The worker's response has status 101, but the request asked for no upgrade; expected 200 to 599.";
        if (status is < 200 or > 599)
            return $"The worker's response has status {status}; expected 200 to 599 (RFC 9110, section 15).";
        var bytes = HeaderBytes(answer);
        if (bytes > MaxHeaderBytes)
            return $"The headers of the worker's response have {bytes} bytes; expected at most {MaxHeaderBytes}.";
        if (answer.Content.Headers.NonValidated.TryGetValues("Content-Length", out var lengths) && lengths.Count > 1)
            return $"The worker's response has {lengths.Count} Content-Length headers ({lengths}); expected one.";
        return IsUnframed(answer, isHead)
            ? "The worker's response has neither a length nor chunks; expected one of them, "
                + "because a truncated response would look complete."
            : null;
    }

    /// <summary>
    /// Returns whether a response with this status has no content, regardless of its headers (RFC 9110, sections 15.3.5
    /// and 15.3.6).
    /// </summary>
    public static bool HasNoContent(HttpStatusCode status) =>
        status is HttpStatusCode.NoContent or HttpStatusCode.ResetContent;

    /// <summary>
    /// In HTTP/1, the end of the connection can mark the end of the body. The truncated response of a killed worker
    /// then looks complete.
    /// </summary>
    private static bool IsUnframed(HttpResponseMessage answer, bool isHead) => answer.Version.Major < 2
        && answer.Content.Headers.ContentLength is null
        && answer.Headers.TransferEncodingChunked != true
        && !isHead && !HasNoContent(answer.StatusCode) && answer.StatusCode != HttpStatusCode.NotModified;

    private static long HeaderBytes(HttpResponseMessage answer)
    {
        long bytes = 0;
        foreach (var (name, values) in answer.Headers.NonValidated)
            foreach (var value in values) bytes += name.Length + value.Length;
        foreach (var (name, values) in answer.Content.Headers.NonValidated)
            foreach (var value in values) bytes += name.Length + value.Length;
        return bytes;
    }
}
