namespace Sluice.Gateway.Usage;

/// <summary>The report of <c>GET /api/v1/usage</c>.</summary>
/// <param name="Since">The begin of the first step.</param>
/// <param name="Until">The end.</param>
/// <param name="Step">hour, day or month.</param>
/// <param name="GroupBy">key, endpoint, model or tag.</param>
/// <param name="Currency">The currency of the costs; empty: there are no prices.</param>
/// <param name="Usage">The usage by step and group.</param>
public sealed record UsageList(DateTimeOffset Since, DateTimeOffset Until, string Step, string GroupBy,
    string Currency, IReadOnlyList<UsageView> Usage);
