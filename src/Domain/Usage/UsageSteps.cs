namespace Sluice.Domain.Usage;

/// <summary>Begins and ends of steps. Pure.</summary>
public static class UsageSteps
{
    /// <summary>Returns the begin of the step that contains a time.</summary>
    public static DateTimeOffset Begin(this UsageStep step, DateTimeOffset at)
    {
        var utc = at.ToUniversalTime();
        var day = new DateTimeOffset(utc.Date, TimeSpan.Zero);
        return step switch
        {
            UsageStep.Hour => day.AddHours(utc.Hour),
            UsageStep.Day => day,
            UsageStep.Week => day.AddDays(-(((int)utc.DayOfWeek + 6) % 7)),
            _ => day.AddDays(1 - utc.Day),
        };
    }

    /// <summary>Returns the end of the step that contains a time.</summary>
    public static DateTimeOffset End(this UsageStep step, DateTimeOffset at) => step switch
    {
        UsageStep.Hour => step.Begin(at).AddHours(1),
        UsageStep.Day => step.Begin(at).AddDays(1),
        UsageStep.Week => step.Begin(at).AddDays(7),
        _ => step.Begin(at).AddMonths(1),
    };
}
