using System.Text.RegularExpressions;

namespace Sluice.Models.Sources;

/// <summary>The name of an image: <c>registry/name:tag</c> or <c>registry/name@sha256:digest</c>. Pure.</summary>
/// <param name="Registry">The registry, <c>host[:port]</c>.</param>
/// <param name="Name">The name of the repository.</param>
/// <param name="Reference">A tag or a digest.</param>
public sealed partial record OciReference(string Registry, string Name, string Reference)
{
    /// <summary>Parses a name; null: it is not one.</summary>
    public static OciReference? Parse(string text) => Form().Match(text) is { Success: true } match
        ? new OciReference(match.Groups["registry"].Value, match.Groups["name"].Value,
            match.Groups["digest"].Success ? match.Groups["digest"].Value
                : match.Groups["tag"].Success ? match.Groups["tag"].Value : "latest")
        : null;

    /// <summary>
    /// The address of the registry. A registry of this machine is used without TLS, as Docker does.
    /// </summary>
    public Uri Server => new($"{(IsLocal ? "http" : "https")}://{Registry}/v2/{Name}/");

    private bool IsLocal => Registry.Split(':')[0] is "localhost" or "127.0.0.1";

    [GeneratedRegex(@"^(?<registry>[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?)/(?<name>[a-z0-9._/-]{1,255})"
        + @"(:(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@(?<digest>sha256:[0-9a-f]{64}))?\z")]
    private static partial Regex Form();
}
