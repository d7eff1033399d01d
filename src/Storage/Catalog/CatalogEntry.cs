namespace Sluice.Storage.Catalog;

/// <summary>What is known of a declaration beside its content.</summary>
/// <param name="Origin">Who declared it.</param>
/// <param name="Tag">SHA-1 of its JSON, 40 hexadecimal digits: it differs after each change.</param>
public sealed record CatalogEntry(Origin Origin, string Tag)
{
    /// <summary>The stored text. A declaration whose text has not changed is not parsed again.</summary>
    internal string Stored { get; init; } = "";
}
