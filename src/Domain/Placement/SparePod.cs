namespace Sluice.Domain.Placement;

/// <summary>An idle worker above the minimum of its endpoint.</summary>
public sealed record SparePod(string PodId, string EndpointId, int Priority);
