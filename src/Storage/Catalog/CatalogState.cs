using Sluice.Domain.Declarations;

namespace Sluice.Storage.Catalog;

/// <summary>The manifest that was applied last by any gateway.</summary>
/// <param name="Digest">Digest of its declarations.</param>
/// <param name="Host">The host of the manifest file.</param>
/// <param name="AppliedAt">When it was applied, according to the clock of Redis.</param>
public sealed record ManifestSource(string Digest, string Host, DateTimeOffset AppliedAt);

/// <summary>All declarations with their origins at one version of the catalog.</summary>
/// <param name="Version">A random value that changes with each change; empty if Redis has no declarations; null before
/// the first read.</param>
/// <param name="Catalog">The declarations.</param>
/// <param name="Templates">Entries by template name.</param>
/// <param name="Endpoints">Entries by endpoint id.</param>
public sealed record CatalogState(
    string? Version,
    EndpointCatalog Catalog,
    IReadOnlyDictionary<string, CatalogEntry> Templates,
    IReadOnlyDictionary<string, CatalogEntry> Endpoints)
{
    /// <summary>Whether Redis was read and has no declarations because it is new or has lost its data.</summary>
    public bool IsLost => Version is { Length: 0 };

    public static CatalogState Empty { get; } = new(null, EndpointCatalog.Empty,
        new Dictionary<string, CatalogEntry>(), new Dictionary<string, CatalogEntry>());
}
