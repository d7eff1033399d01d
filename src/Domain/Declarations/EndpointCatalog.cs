using System.Collections.Frozen;

namespace Sluice.Domain.Declarations;

/// <summary>
/// An immutable snapshot of all templates and endpoints, with look-ups by endpoint id and by served model name.
/// </summary>
public sealed class EndpointCatalog
{
    private readonly FrozenDictionary<string, Deployment> byId;
    private readonly FrozenDictionary<string, Deployment> byModel;
    private readonly FrozenDictionary<string, IReadOnlyList<Deployment>> canaries;

    public EndpointCatalog(IEnumerable<Template> templates, IEnumerable<Endpoint> endpoints)
    {
        Templates = templates.ToFrozenDictionary(t => t.Name);
        byId = endpoints.Where(e => Templates.ContainsKey(e.Template))
            .ToFrozenDictionary(e => e.Id, e => new Deployment(e, Templates[e.Template]));
        byModel = byId.Values.SelectMany(d => d.Endpoint.ServedModels, (d, model) => (d, model))
            .GroupBy(x => x.model)
            .ToFrozenDictionary(g => g.Key, g => g.MinBy(x => (x.d.Endpoint.Canary is not null, x.d.Endpoint.Id))!.d);
        canaries = byId.Values.Where(d => d.Endpoint.Canary is not null)
            .OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal).GroupBy(d => d.Endpoint.Canary!.Of)
            .ToFrozenDictionary(g => g.Key, g => (IReadOnlyList<Deployment>)[.. g]);
    }

    public static EndpointCatalog Empty { get; } = new([], []);

    public IReadOnlyDictionary<string, Template> Templates { get; }

    public IReadOnlyCollection<Deployment> Deployments => byId.Values;

    /// <summary>Returns the endpoint with this id, or null.</summary>
    public Deployment? Find(string endpointId) => byId.GetValueOrDefault(endpointId);

    /// <summary>Returns the canaries of an endpoint in the order of their ids.</summary>
    public IReadOnlyList<Deployment> CanariesOf(string endpointId) => canaries.GetValueOrDefault(endpointId, []);

    /// <summary>Returns the endpoint that serves this model, which is no canary, or null.</summary>
    public Deployment? FindByModel(string model) => byModel.GetValueOrDefault(model);
}
