namespace Sluice.Domain.Declarations;

/// <summary>A minimum number of workers for a limited time, from each time that matches a cron expression.</summary>
public sealed record ScheduledMinimum
{
    /// <summary>
    /// The start: minute, hour, day of month, month, day of week; see <see cref="CronSchedule"/>.
    /// </summary>
    public required string Cron { get; init; }

    /// <summary>IANA name of the time zone of the expression.</summary>
    public string TimeZone { get; init; } = "UTC";

    /// <summary>The duration.</summary>
    public required TimeSpan For { get; init; }

    /// <summary>The minimum number of workers, at most <see cref="ScalePolicy.Max"/>.</summary>
    public required int Min { get; init; }
}
