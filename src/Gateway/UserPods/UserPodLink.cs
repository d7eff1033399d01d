namespace Sluice.Gateway.UserPods;

/// <summary>A link that opens a pod in a browser, once.</summary>
/// <param name="Url">The link.</param>
/// <param name="PodUrl">The URL of the port, which the browser can use after the link was opened.</param>
/// <param name="ExpiresAt">When the link expires.</param>
public sealed record UserPodLink(string Url, string PodUrl, DateTimeOffset ExpiresAt);
