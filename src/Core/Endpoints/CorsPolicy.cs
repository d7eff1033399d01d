namespace Sluice.Core.Endpoints;

/// <summary>
/// Which pages of other origins may call from a browser (fetch.spec.whatwg.org, section 3.3). Keys are sent in a header and never as cookies, so
/// <c>*</c> gives no page more than it could send by itself.
/// </summary>
public sealed record CorsPolicy
{
    /// <summary>The wildcard: every origin is allowed.</summary>
    public const string Any = "*";

    /// <summary>Origins like <c>https://app.example.com</c>, or <c>*</c>; empty: no page of another origin.</summary>
    public IReadOnlyList<string> Origins { get; init; } = [];

    /// <summary>Request headers that pages may send beside <c>Authorization</c> and <c>Content-Type</c>; empty: all.</summary>
    public IReadOnlyList<string> Headers { get; init; } = [];

    /// <summary>How long a browser may keep the answer to a preflight. Chromium keeps it for two hours at most, Firefox for a day.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Whether every origin may call.</summary>
    public bool AllowsAny => Origins.Contains(Any);

    /// <summary>Whether pages of an origin may call; browsers send it in lower case.</summary>
    public bool Allows(string origin) => AllowsAny || Origins.Contains(origin, StringComparer.Ordinal);

    /// <summary>Whether a text is an origin as a browser writes it: scheme and host in lower case, the port unless it is the scheme's own, no path.</summary>
    public static bool IsOrigin(string text) => text == Any
        || (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Host.Length > 0 && uri.UserInfo.Length == 0
            && text == $"{uri.Scheme}://{uri.IdnHost}{(uri.IsDefaultPort ? "" : $":{uri.Port}")}");
}
