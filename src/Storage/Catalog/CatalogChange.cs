namespace Sluice.Storage.Catalog;

/// <summary>The source of a declaration. Declarations of the manifest can be changed only by the manifest.</summary>
public enum Origin
{
    Api,
    Manifest,
}

/// <summary>Why a change of the catalog was rejected.</summary>
public enum CatalogRefusal
{
    None,

    /// <summary>The entry is declared by the manifest.</summary>
    OwnedByManifest,

    /// <summary>The endpoint's template does not exist.</summary>
    NoTemplate,

    /// <summary>An endpoint uses the template.</summary>
    InUse,

    /// <summary>The entry does not exist.</summary>
    Unknown,

    /// <summary>The manifest declares an entry that was created through the API.</summary>
    Clash,

    /// <summary>The request creates an entry whose name is in use.</summary>
    Exists,

    /// <summary>
    /// Jobs of a deleted endpoint with this id still exist; see <see cref="EndpointDeletions.MakeFreeAsync"/>.
    /// </summary>
    Deleting,
}

/// <summary>The result of a change of the catalog.</summary>
/// <param name="Refusal">Why the change was rejected.</param>
/// <param name="Name">The entry that prevents the change. If a manifest would delete a template in use: the template,
/// ':', and the endpoints, separated by ','.</param>
/// <param name="Created">Whether the entry did not exist before.</param>
public readonly record struct CatalogChange(CatalogRefusal Refusal, string Name = "", bool Created = false);
