using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>The parts of an image reference.</summary>
/// <param name="Repository">The repository, including the registry if the reference contains one.</param>
/// <param name="Tag">The tag, or the digest <c>sha256:...</c>. The default is <c>latest</c>: without a tag the daemon
/// would pull all tags.</param>
public readonly partial record struct ImageName(string Repository, string Tag)
{
    /// <summary>The name of Docker Hub in Docker's <c>config.json</c>.</summary>
    private const string Hub = "https://index.docker.io/v1/";

    /// <summary>Whether a text has the form of an image reference. The daemon validates the complete grammar.</summary>
    public static bool IsImage(string text) => Form().IsMatch(text) && text.Length <= 255;

    /// <summary>Splits a reference into its parts.</summary>
    public static ImageName Parse(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        if (at > 0) return new ImageName(WithoutTag(text[..at]).Repository, text[(at + 1)..]);
        return WithoutTag(text);
    }

    /// <summary>The name under which the credentials of the registry are stored.</summary>
    public string Registry => Repository.Split('/') is [var first, _, ..]
        && (first.Contains('.', StringComparison.Ordinal)
            || first.Contains(':', StringComparison.Ordinal)
            || first == "localhost") ? first : Hub;

    private static ImageName WithoutTag(string text)
    {
        // A colon before the last slash precedes the port of a registry.
        var colon = text.LastIndexOf(':');
        return colon > text.LastIndexOf('/')
            ? new ImageName(text[..colon], text[(colon + 1)..])
            : new ImageName(text, "latest");
    }

    [GeneratedRegex(@"^[a-zA-Z0-9][a-zA-Z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*"
        + @"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?\z")]
    private static partial Regex Form();
}
