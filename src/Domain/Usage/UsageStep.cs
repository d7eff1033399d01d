namespace Sluice.Domain.Usage;

/// <summary>The steps of a report, and the windows of budgets. All are in UTC.</summary>
public enum UsageStep
{
    /// <summary>An hour.</summary>
    Hour,

    /// <summary>A day.</summary>
    Day,

    /// <summary>A week from Monday on.</summary>
    Week,

    /// <summary>A month.</summary>
    Month,
}
