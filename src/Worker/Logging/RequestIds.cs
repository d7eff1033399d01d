using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Logging;

/// <summary>
/// Returns the id with which the gateway sent a request: that of the client's request, or of the job.
/// </summary>
internal static class RequestIds
{
    private const string Header = "X-Request-Id";
    private const int MaxLength = 128;

    /// <summary>
    /// Returns the id for lines of the log; null: the request has none, or one that is not plain text.
    /// </summary>
    public static string? Find(HttpContext context) =>
        context.Request.Headers[Header] is [{ Length: > 0 and <= MaxLength } id] && id.All(IsPlain) ? id : null;

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':';
}
