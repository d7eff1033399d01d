using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

/// <summary>Validates scaling policies. Pure.</summary>
internal static class ScaleRules
{
    private const int MostWorkers = 10_000;

    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    public static void Check(EndpointRules.Checker check, ScalePolicy p)
    {
        check.Range("scaling.min", p.Min, 0, MostWorkers);
        check.Range("scaling.max", p.Max, 0, MostWorkers);
        check.That(p.Min <= p.Max, "scaling.min", $"{p.Min}", $"at most scaling.max ({p.Max})");
        check.Range("scaling.buffer", p.Buffer, 0, MostWorkers);
        check.That(p.Buffer <= p.Max, "scaling.buffer", $"{p.Buffer}", $"at most scaling.max ({p.Max})");
        check.Range("scaling.target", p.Target, 0, 1_000_000);
        check.Range("scaling.maxDelay", p.MaxDelay, TimeSpan.Zero, Day);
        check.Range("scaling.targetWait", p.TargetWait, TimeSpan.FromMilliseconds(10), Hour);
        check.Range("scaling.targetPercentile", p.TargetPercentile, 50, 99);
        check.Range("scaling.targetUtilization", p.TargetUtilization, 1, 100);
        check.Range("scaling.targetTokens", p.TargetTokens, 0, 1L << 40);
        check.Range("scaling.stableWindow", p.StableWindow, TimeSpan.FromSeconds(6), Hour);
        check.Range("scaling.panicWindow", p.PanicWindow, TimeSpan.FromSeconds(1), Hour);
        check.That(p.PanicWindow <= p.StableWindow, "scaling.panicWindow", Duration.Format(p.PanicWindow),
            $"at most scaling.stableWindow ({Duration.Format(p.StableWindow)})");
        check.Range("scaling.panicThreshold", p.PanicThreshold, 110, 1000);
        check.Range("scaling.idleTimeout", p.IdleTimeout, TimeSpan.FromMilliseconds(100), Week);
        check.Range("scaling.scaleInDelay", p.ScaleInDelay, TimeSpan.Zero, Week);
        check.Range("scaling.maxStep", p.MaxStep, 0, MostWorkers);
        check.Range("scaling.stepInterval", p.StepInterval, TimeSpan.FromMilliseconds(100), Hour);
        check.That(p.DailyWorkerTime >= TimeSpan.Zero && p.DailyWorkerTime <= MostWorkers * Day,
            "scaling.dailyWorkerTime", Duration.Format(p.DailyWorkerTime),
            $"0s (no limit) to {Duration.Format(MostWorkers * Day)}");
        check.That(p.Schedules.Count <= MostSchedules, "scaling.schedules", $"{p.Schedules.Count} entries",
            $"at most {MostSchedules}");
        for (var i = 0; i < p.Schedules.Count; i++) Check(check, p.Schedules[i], $"scaling.schedules[{i}]", p.Max);
    }

    /// <summary>Maximum number of schedules; each is evaluated every second.</summary>
    private const int MostSchedules = 50;

    private static void Check(EndpointRules.Checker check, ScheduledMinimum s, string at, int max)
    {
        var zone = TimeZoneInfo.TryFindSystemTimeZoneById(s.TimeZone, out _);
        check.That(zone, $"{at}.timeZone", s.TimeZone,
            "an IANA time zone that this machine knows, like UTC or Europe/Berlin");
        var bothDays = CronSchedule.RestrictsBothDays(s.Cron);
        check.That(!bothDays, $"{at}.cron", s.Cron, CronSchedule.ExpectedDays);
        check.That(!zone || bothDays || CronSchedule.Parse(s.Cron, s.TimeZone) is not null, $"{at}.cron", s.Cron,
            CronSchedule.Expected);
        check.Range($"{at}.for", s.For, TimeSpan.FromMinutes(1), Week);
        check.Range($"{at}.min", s.Min, 1, MostWorkers);
        check.That(s.Min <= max, $"{at}.min", $"{s.Min}", $"at most scaling.max ({max})");
    }
}
