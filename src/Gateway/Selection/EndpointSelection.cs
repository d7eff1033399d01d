using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Selection;

/// <summary>What an <see cref="IEndpointSelector"/> read from a request.</summary>
/// <param name="Name">The endpoint ID or the model name; empty if the request names no endpoint.</param>
/// <param name="IsModel">Whether <paramref name="Name"/> is the name of a model.</param>
public readonly record struct EndpointSelection(string Name, bool IsModel)
{
    /// <summary>The selection of a request that names no endpoint.</summary>
    public static readonly EndpointSelection None = new("", IsModel: false);

    /// <summary>The status of the error response if the name cannot be read; otherwise 0.</summary>
    public int ErrorStatus { get; private init; }

    /// <summary>The error text if the name cannot be read; otherwise null.</summary>
    public string? Error { get; private init; }

    /// <summary>Returns the deployment that the request selects, or null if none is declared under the name.</summary>
    public Deployment? FindIn(EndpointCatalog catalog) =>
        Name.Length == 0 ? null : IsModel ? catalog.FindByModel(Name) : catalog.Find(Name);

    /// <summary>Returns the selection of a request whose name cannot be read.</summary>
    /// <param name="status">The HTTP status of the response.</param>
    /// <param name="error">The error text.</param>
    public static EndpointSelection Failed(int status, string error) =>
        None with { ErrorStatus = status, Error = error };
}
