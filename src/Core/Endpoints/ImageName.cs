using System.Text.RegularExpressions;

namespace Sluice.Core.Endpoints;

/// <summary>An image's reference in its parts.</summary>
/// <param name="Repository">With the registry, where one is named.</param>
/// <param name="Tag">Or its digest, <c>sha256:...</c>; <c>latest</c> unless said: without a tag the daemon would pull all of them.</param>
public readonly partial record struct ImageName(string Repository, string Tag)
{
    /// <summary>Docker Hub's name in Docker's own <c>config.json</c>.</summary>
    private const string Hub = "https://index.docker.io/v1/";

    /// <summary>What a reference looks like; the whole grammar is the daemon's business.</summary>
    public static bool IsImage(string text) => Form().IsMatch(text) && text.Length <= 255;

    public static ImageName Parse(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        if (at > 0) return new ImageName(WithoutTag(text[..at]).Repository, text[(at + 1)..]);
        return WithoutTag(text);
    }

    /// <summary>Under which name the registry's credentials are kept.</summary>
    public string Registry => Repository.Split('/') is [var first, _, ..] && (first.Contains('.', StringComparison.Ordinal)
        || first.Contains(':', StringComparison.Ordinal) || first == "localhost") ? first : Hub;

    private static ImageName WithoutTag(string text)
    {
        // A colon before the last slash is a registry's port.
        var colon = text.LastIndexOf(':');
        return colon > text.LastIndexOf('/') ? new ImageName(text[..colon], text[(colon + 1)..]) : new ImageName(text, "latest");
    }

    [GeneratedRegex(@"^[a-zA-Z0-9][a-zA-Z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?\z")]
    private static partial Regex Form();
}
