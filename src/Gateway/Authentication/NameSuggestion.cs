using Sluice.Domain.Notation;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Authentication;

/// <summary>Suggests an existing name for a name that does not exist.</summary>
public static class NameSuggestion
{
    /// <summary>The maximum edit distance between the two names.</summary>
    private const int MaxDistance = 3;

    /// <summary>
    /// The maximum length of a model name. Longer texts are not compared, because comparing them is expensive.
    /// </summary>
    private const int MaxLength = 128;

    /// <summary>
    /// Returns the models of an endpoint if its id was sent as the name of a model, otherwise the most similar model.
    /// </summary>
    /// <param name="name">The requested model.</param>
    /// <param name="usable">The endpoints that the caller may see.</param>
    public static string ForModel(string name, IEnumerable<Endpoint> usable)
    {
        var known = usable.ToList();
        return known.FirstOrDefault(e => e.Id == name) is { } endpoint
            ? $" The endpoint '{name}' serves other models: {string.Join(", ", endpoint.ServedModels)}."
            : For(name, known.SelectMany(e => e.ServedModels));
    }

    /// <summary>Returns " Did you mean 'digits'?", or an empty text if no name is similar.</summary>
    /// <param name="name">The requested name.</param>
    /// <param name="known">The names that the caller may see.</param>
    public static string For(string name, IEnumerable<string> known)
    {
        if (name.Length > MaxLength) return "";
        var maxDistance = Math.Min(MaxDistance, (name.Length + 1) / 2);
        var nearest = known.Where(k => Math.Abs(k.Length - name.Length) <= maxDistance)
            .Select(k => (Name: k, Distance: EditDistance.Between(k, name)))
            .Where(k => k.Distance <= maxDistance)
            .OrderBy(k => k.Distance)
            .ThenBy(k => k.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        return nearest.Name is null ? "" : $" Did you mean '{nearest.Name}'?";
    }
}
