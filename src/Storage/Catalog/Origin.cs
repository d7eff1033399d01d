namespace Sluice.Storage.Catalog;

/// <summary>The source of a declaration. Declarations of the manifest can be changed only by the manifest.</summary>
public enum Origin
{
    Api,
    Manifest,
}
