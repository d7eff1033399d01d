namespace Sluice.Storage.Catalog;

/// <summary>The result of a change of the catalog.</summary>
/// <param name="Refusal">Why the change was rejected.</param>
/// <param name="Name">The entry that prevents the change. If a manifest would delete a template in use: the template,
/// ':', and the endpoints, separated by ','.</param>
/// <param name="Created">Whether the entry did not exist before.</param>
public readonly record struct CatalogChange(CatalogRefusal Refusal, string Name = "", bool Created = false);
