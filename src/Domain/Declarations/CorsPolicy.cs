namespace Sluice.Domain.Declarations;

/// <summary>
/// Defines which pages of other origins may call from a browser (fetch.spec.whatwg.org, section 3.3). API keys are sent
/// in a header and never in cookies, so <c>*</c> allows a page nothing that it could not do without a browser.
/// </summary>
public sealed record CorsPolicy
{
    /// <summary>The wildcard that allows every origin.</summary>
    public const string Any = "*";

    /// <summary>
    /// Origins like <c>https://app.example.com</c>, or <c>*</c>. Empty: no page of another origin may call.
    /// </summary>
    public IReadOnlyList<string> Origins { get; init; } = [];

    /// <summary>
    /// Request headers that pages may send in addition to <c>Authorization</c> and <c>Content-Type</c>. Empty: all.
    /// </summary>
    public IReadOnlyList<string> Headers { get; init; } = [];

    /// <summary>
    /// How long a browser may cache the response to a preflight. Chromium caches it for at most 2 hours, Firefox for at
    /// most 24 hours.
    /// </summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Whether every origin may call.</summary>
    public bool AllowsAny => Origins.Contains(Any);

    /// <summary>Whether pages of an origin may call. Browsers send the origin in lower case.</summary>
    public bool Allows(string origin) => AllowsAny || Origins.Contains(origin, StringComparer.Ordinal);

    /// <summary>
    /// Whether a text is an origin as browsers send it: scheme and host in lower case, a port unless it is the default
    /// port of the scheme, no path.
    /// </summary>
    public static bool IsOrigin(string text) => text == Any
        || (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Host.Length > 0 && uri.UserInfo.Length == 0
            && text == $"{uri.Scheme}://{uri.IdnHost}{(uri.IsDefaultPort ? "" : $":{uri.Port}")}");
}
