namespace Sluice.Gateway.Http;

/// <summary>
/// Accepts a request id from the client. The id is used in the log, is forwarded to the worker, and is returned in the
/// response.
/// </summary>
internal static class RequestId
{
    /// <summary>The header with the request id.</summary>
    public const string Header = "X-Request-Id";

    private const int MaxLength = 128;

    /// <summary>Sets the request id if the header is valid. An invalid header is ignored.</summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var given = context.Request.Headers[Header];
        if (given.Count == 1 && given[0] is { Length: > 0 and <= MaxLength } id && id.All(IsPlain))
            context.TraceIdentifier = id;
        return next(context);
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':';
}
