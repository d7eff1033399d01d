namespace Sluice.Gateway.Usage;

/// <summary>The usage of a key in this month.</summary>
/// <param name="Since">The begin of the month, UTC.</param>
/// <param name="Currency">The currency of the cost; empty: there are no prices.</param>
/// <param name="Usage">The usage; null: none.</param>
public sealed record KeyUsage(DateTimeOffset Since, string Currency, UsageView? Usage);
