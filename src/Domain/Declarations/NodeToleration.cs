namespace Sluice.Domain.Declarations;

/// <summary>A taint of nodes that is tolerated.</summary>
public sealed record NodeToleration
{
    /// <summary>The key of the taint.</summary>
    public required string Key { get; init; }

    /// <summary>The value of the taint; empty: any.</summary>
    public string Value { get; init; } = "";

    /// <summary><c>NoSchedule</c>, <c>PreferNoSchedule</c> or <c>NoExecute</c>; empty: each of them.</summary>
    public string Effect { get; init; } = "";
}
