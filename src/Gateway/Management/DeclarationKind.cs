using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Declarations;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Management;

/// <summary>What the API needs to know of a kind of declaration: templates, or endpoints.</summary>
/// <param name="Name">Its name in paths (with an s) and texts.</param>
/// <param name="IdField">The field with the name of a declaration.</param>
/// <param name="Type">Its JSON form.</param>
/// <param name="IdOf">Returns the name of a declaration.</param>
/// <param name="Find">Returns a declaration of the catalog, or null.</param>
/// <param name="Check">Returns the errors of a declaration beside a catalog.</param>
/// <param name="Entries">Returns the entries of the kind.</param>
/// <param name="PutAsync">Stores a declaration.</param>
/// <param name="RevisionsAsync">Returns its last declarations.</param>
internal sealed record DeclarationKind<T>(
    string Name,
    string IdField,
    JsonTypeInfo<T> Type,
    Func<T, string> IdOf,
    Func<EndpointCatalog, string, T?> Find,
    Func<T, EndpointCatalog, List<FieldError>> Check,
    Func<CatalogState, IReadOnlyDictionary<string, CatalogEntry>> Entries,
    Func<CatalogStore, T, PutCondition, CancellationToken, Task<CatalogChange>> PutAsync,
    Func<CatalogStore, string, CancellationToken, Task<IReadOnlyList<Revision>>> RevisionsAsync)
    where T : class
{
    /// <summary>Returns the JSON of a declaration; null for none.</summary>
    public JsonObject? ToJson(T? value) =>
        value is null ? null : JsonSerializer.SerializeToNode(value, Type)!.AsObject();

    /// <summary>Returns the path of a declaration in the API.</summary>
    public string PathOf(string id) => $"/api/v1/{Name}s/{id}";
}
