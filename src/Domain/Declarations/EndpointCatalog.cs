using System.Collections.Frozen;

namespace Sluice.Domain.Declarations;

/// <summary>
/// An immutable snapshot of all templates and endpoints, with look-ups by endpoint id and by served model name.
/// </summary>
public sealed class EndpointCatalog
{
    private readonly FrozenDictionary<string, Deployment> byId;
    private readonly FrozenDictionary<string, Deployment> byModel;

    public EndpointCatalog(IEnumerable<Template> templates, IEnumerable<Endpoint> endpoints)
    {
        Templates = templates.ToFrozenDictionary(t => t.Name);
        byId = endpoints.Where(e => Templates.ContainsKey(e.Template))
            .ToFrozenDictionary(e => e.Id, e => new Deployment(e, Templates[e.Template]));
        byModel = byId.Values.SelectMany(d => d.Endpoint.ServedModels, (d, model) => (d, model))
            .GroupBy(x => x.model).ToFrozenDictionary(g => g.Key, g => g.MinBy(x => x.d.Endpoint.Id)!.d);
    }

    public static EndpointCatalog Empty { get; } = new([], []);

    public IReadOnlyDictionary<string, Template> Templates { get; }

    public IReadOnlyCollection<Deployment> Deployments => byId.Values;

    /// <summary>Returns the endpoint with this id, or null.</summary>
    public Deployment? Find(string endpointId) => byId.GetValueOrDefault(endpointId);

    /// <summary>Returns the endpoint that serves this model, or null.</summary>
    public Deployment? FindByModel(string model) => byModel.GetValueOrDefault(model);
}
