namespace Sluice.Core.Endpoints;

/// <summary>How an endpoint stands beside others when there are not enough GPUs for all.</summary>
public sealed record PlacementPolicy
{
    /// <summary>Higher ones get devices first. Nothing that works is taken away for them.</summary>
    public int Priority { get; init; }

    /// <summary>Its share of GPU memory beside other endpoints of the same priority: one with 2 gets twice as much as one with 1 while both want more.</summary>
    public int Weight { get; init; } = 1;
}
