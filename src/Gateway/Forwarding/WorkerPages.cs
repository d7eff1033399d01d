namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Isolates pages that workers write. They have the origin of the gateway, so a page could use the session of a person
/// who has signed in to the dashboard in the same browser. Templates of web applications (<c>passHost</c> or
/// <c>passCookies</c>) are trusted with the origin, because web applications do not work without it. Pure.
/// </summary>
internal static class WorkerPages
{
    /// <summary>
    /// Gives a page an origin of its own, that has no cookies. Scripts work (CSP level 3, section 6.3.2).
    /// </summary>
    public const string Policy = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

    private static readonly string[] Safe =
    [
        "application/json", "text/event-stream", "application/octet-stream", "application/problem+json", "text/plain",
        "application/x-ndjson", "audio/", "video/", "image/png", "image/jpeg", "image/webp", "image/gif",
    ];

    /// <summary>
    /// Whether browsers may run scripts in a response of this type. What is unknown may be a page: browsers guess it.
    /// </summary>
    public static bool MayBePage(string? contentType)
    {
        var type = (contentType ?? "").AsSpan().Trim();
        foreach (var safe in Safe)
            if (type.StartsWith(safe, StringComparison.OrdinalIgnoreCase)
                && (safe[^1] == '/' || type.Length == safe.Length || type[safe.Length] is ';' or ' ' or '\t'))
                return false;
        return true;
    }
}
