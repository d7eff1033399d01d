namespace Sluice.Domain.Usage;

/// <summary>The usage of an endpoint in an hour, or in an old day or month.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Begin">The begin of the period.</param>
/// <param name="Length">The length of the period.</param>
/// <param name="Rows">The sums by row.</param>
public sealed record UsagePeriod(
    string Endpoint, DateTimeOffset Begin, UsagePeriodLength Length, IReadOnlyDictionary<UsageRow, UsageSums> Rows);

/// <summary>How long a period of the ledger is.</summary>
public enum UsagePeriodLength
{
    /// <summary>An hour.</summary>
    Hour,

    /// <summary>A day, after 40 days.</summary>
    Day,

    /// <summary>A month, after 400 days.</summary>
    Month,
}
