namespace Sluice.Domain.Scaling;

/// <summary>Worker time used on one day (UTC).</summary>
public readonly record struct Spending(DateOnly Day, TimeSpan Used);
