using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Declarations;

namespace Sluice.ControlPlane.Manifests;

/// <summary>Finds the declarations that differ between two catalogs. Pure.</summary>
public static class DeclarationChanges
{
    /// <summary>
    /// Returns the path of each declaration that differs, with its JSON before and after; null: none.
    /// </summary>
    public static IEnumerable<(string Target, JsonObject? Before, JsonObject? After)> Between(
        EndpointCatalog before, EndpointCatalog after) =>
        Between("templates", before.Templates, after.Templates, DeclarationJson.Template)
            .Concat(Between("endpoints", EndpointsOf(before), EndpointsOf(after), DeclarationJson.Endpoint));

    private static Dictionary<string, Endpoint> EndpointsOf(EndpointCatalog catalog) =>
        catalog.Deployments.ToDictionary(d => d.Endpoint.Id, d => d.Endpoint);

    private static IEnumerable<(string, JsonObject?, JsonObject?)> Between<T>(
        string kind, IReadOnlyDictionary<string, T> before, IReadOnlyDictionary<string, T> after, JsonTypeInfo<T> type)
        where T : class =>
        before.Keys.Union(after.Keys).Order(StringComparer.Ordinal)
            .Select(name => ($"/api/v1/{kind}/{name}", Json(before, name, type), Json(after, name, type)))
            .Where(c => !JsonNode.DeepEquals(c.Item2, c.Item3));

    private static JsonObject? Json<T>(IReadOnlyDictionary<string, T> from, string name, JsonTypeInfo<T> type)
        where T : class =>
        from.TryGetValue(name, out var value) ? JsonSerializer.SerializeToNode(value, type)!.AsObject() : null;
}
