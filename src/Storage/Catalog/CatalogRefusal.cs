namespace Sluice.Storage.Catalog;

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

    /// <summary>The entry is not the expected one: another change came first.</summary>
    Changed,
}
