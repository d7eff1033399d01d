using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>The content of a manifest file.</summary>
public sealed record ManifestFile
{
    /// <summary>Which of the sections <c>templates</c> and <c>endpoints</c> the file does not contain.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Omitted { get; init; } = [];

    /// <summary>
    /// Whether the last line is YAML's document end marker <c>...</c>. A file that lost its marker is truncated.
    /// </summary>
    [JsonIgnore]
    public bool EndsWithMarker { get; init; }

    public IReadOnlyList<Template> Templates { get; init; } = [];

    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [];
}
