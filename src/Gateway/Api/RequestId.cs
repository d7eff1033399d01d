namespace Sluice.Gateway.Api;

/// <summary>A client may name its request; the name then stands in the log, at the worker, and in the answer.</summary>
internal static class RequestId
{
    public const string Header = "X-Request-Id";

    private const int MaxLength = 128;

    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var given = context.Request.Headers[Header];
        if (given.Count == 1 && given[0] is { Length: > 0 and <= MaxLength } id && id.All(IsPlain)) context.TraceIdentifier = id;
        return next(context);
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':';
}
