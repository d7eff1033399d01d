using Sluice.Domain.Declarations;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Management;

/// <summary>The two kinds of declarations.</summary>
internal static class DeclarationKinds
{
    public static DeclarationKind<Template> Template { get; } = new("template", "name", DeclarationJson.Template,
        t => t.Name,
        (catalog, name) => catalog.Templates.GetValueOrDefault(name),
        (t, _) => EndpointRules.Check(t, ""),
        state => state.Templates,
        (store, t, condition, ct) => store.PutAsync(t, ct, condition),
        (store, name, ct) => store.TemplateRevisionsAsync(name, ct));

    public static DeclarationKind<Endpoint> Endpoint { get; } = new("endpoint", "id", DeclarationJson.Endpoint,
        e => e.Id,
        (catalog, id) => catalog.Find(id)?.Endpoint,
        (e, catalog) => EndpointRules.Check(e, "", [.. catalog.Templates.Keys],
            [.. catalog.Deployments.Select(d => d.Endpoint)]),
        state => state.Endpoints,
        (store, e, condition, ct) => store.PutAsync(e, ct, condition),
        (store, id, ct) => store.EndpointRevisionsAsync(id, ct));
}
