using Sluice.Domain.Declarations;

namespace Sluice.Domain.Usage;

/// <summary>The model under which usage of an endpoint is counted.</summary>
public static class UsageModels
{
    private const string InPath = "/models/";

    /// <summary>
    /// Returns the model of a request, or of workers (without a name and path). Empty: the endpoint serves several
    /// models, and nothing names one of them.
    /// </summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="name">The name in the body; null: there is none.</param>
    /// <param name="path">The path for the worker, which may contain <c>/models/NAME</c>.</param>
    public static string Find(Endpoint endpoint, string? name = null, string path = "")
    {
        var served = endpoint.ServedModels;
        if (served.Count == 1) return served[0];
        if (name is not null && served.Contains(name)) return name;
        var at = path.IndexOf(InPath, StringComparison.Ordinal);
        if (at < 0) return "";
        var rest = path[(at + InPath.Length)..];
        return served.FirstOrDefault(m => rest.StartsWith(m, StringComparison.Ordinal)
            && (rest.Length == m.Length || rest[m.Length] is '/' or '?')) ?? "";
    }
}
