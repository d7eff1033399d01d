namespace Sluice.Domain.Declarations;

/// <summary>The priority and the weight of an endpoint when there are not enough GPUs for all endpoints.</summary>
public sealed record PlacementPolicy
{
    /// <summary>Endpoints with a higher priority are placed first. Busy workers are never stopped for them.</summary>
    public int Priority { get; init; }

    /// <summary>
    /// Its share of GPU memory relative to other endpoints of the same priority: while both request more, an endpoint
    /// with weight 2 gets twice the memory of an endpoint with weight 1.
    /// </summary>
    public int Weight { get; init; } = 1;
}
