namespace Sluice.Domain.Declarations;

/// <summary>An endpoint and its template.</summary>
public sealed record Deployment(Endpoint Endpoint, Template Template);
