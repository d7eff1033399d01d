using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>Which answers of a worker can be passed on. Pure.</summary>
public static class AnswerRules
{
    /// <summary>
    /// Most bytes of names and values of an answer's headers. The HTTP client has the same default (64 KiB), but over HTTP/2 it ends the whole
    /// connection, with all other requests on it. Its own limit is therefore higher: <see cref="WorkerClients"/>.
    /// </summary>
    public const int MaxHeaderBytes = 64 << 10;

    /// <summary>Why the answer cannot be passed on or be a result; null: it can.</summary>
    /// <param name="answer">Status and headers.</param>
    /// <param name="isHead">The request's method was HEAD: the answer has no body.</param>
    /// <param name="isUpgrade">The request asked for an upgrade, so that status 101 is an answer to it.</param>
    public static string? Fault(HttpResponseMessage answer, bool isHead, bool isUpgrade)
    {
        var status = (int)answer.StatusCode;
        if (status == (int)HttpStatusCode.SwitchingProtocols)
            return isUpgrade ? null : "the worker's answer has status 101, and the request asked for no upgrade; expected 200 to 599";
        if (status is < 200 or > 599) return $"the worker's answer has status {status}; expected 200 to 599 (RFC 9110, section 15)";
        var bytes = HeaderBytes(answer);
        if (bytes > MaxHeaderBytes) return $"the headers of the worker's answer have {bytes} bytes; expected at most {MaxHeaderBytes}";
        if (answer.Content.Headers.NonValidated.TryGetValues("Content-Length", out var lengths) && lengths.Count > 1)
            return $"the worker's answer has {lengths.Count} Content-Length headers ({lengths}); expected one";
        return IsUnframed(answer, isHead) ? "the worker's answer has neither a length nor chunks: its end could not be told from a cut" : null;
    }

    /// <summary>Whether an answer of this status has no content, whatever its headers say (RFC 9110, sections 15.3.5 and 15.3.6).</summary>
    public static bool HasNoContent(HttpStatusCode status) => status is HttpStatusCode.NoContent or HttpStatusCode.ResetContent;

    /// <summary>HTTP/1 lets a body end with the connection; a worker that was killed then looks complete.</summary>
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
