using Sluice.Domain.Declarations;

namespace Sluice.Domain.Tests.Declarations;

/// <summary>The times that match a cron expression.</summary>
public sealed class CronScheduleTest
{
    [Theory]
    [InlineData("0 8 * * *", "2026-03-02T08:00:00Z", true)]
    [InlineData("0 8 * * *", "2026-03-02T07:59:59Z", false)]
    [InlineData("0 8 * * *", "2026-03-02T08:00:59Z", true)]
    [InlineData("0 8 * * *", "2026-03-02T08:01:00Z", false)]
    [InlineData("*/15 * * * *", "2026-03-02T08:45:10Z", true)]
    [InlineData("*/15 * * * *", "2026-03-02T08:46:00Z", false)]
    [InlineData("5/20 * * * *", "2026-03-02T08:25:00Z", true)]
    [InlineData("0 8-18/2 * * *", "2026-03-02T12:00:00Z", true)]
    [InlineData("0 8-18/2 * * *", "2026-03-02T13:00:00Z", false)]
    [InlineData("0 0 1,15 * *", "2026-03-15T00:00:00Z", true)]
    [InlineData("0 0 29 FEB *", "2028-02-29T00:00:30Z", true)]
    [InlineData("0 8 * * MON-FRI", "2026-03-02T08:00:00Z", true)] // a Monday
    [InlineData("0 8 * * mon-fri", "2026-03-01T08:00:00Z", false)]
    [InlineData("0 8 * * 0", "2026-03-01T08:00:00Z", true)]
    [InlineData("0 8 * * 7", "2026-03-01T08:00:00Z", true)] // Sunday twice
    [InlineData("0 8 */2 * FRI", "2026-03-13T08:00:00Z", true)] // a field that starts with * is not a restriction
    [InlineData("0 8 */2 * FRI", "2026-03-06T08:00:00Z", false)]
    [InlineData("0 8 * * FRI-MON", "2026-03-01T08:00:00Z", true)]
    [InlineData("0 8 * * FRI-MON", "2026-03-03T08:00:00Z", false)]
    public void An_expression_matches_the_right_minutes(string cron, string at, bool named) =>
        Assert.Equal(named,
            CronSchedule.Parse(cron, "UTC")!.Covers(DateTimeOffset.Parse(at, null), TimeSpan.FromMinutes(1)));

    [Theory]
    // Berlin: the clock changes at 2026-03-29 01:00 UTC from 02:00 to 03:00 and at 2026-10-25 01:00 UTC from 03:00 to
    // 02:00.
    [InlineData("30 2 * * *", "2026-03-28T01:30:00Z", true)]
    [InlineData("30 2 * * *", "2026-03-29T01:00:00Z", true)] // skipped: when the clock has jumped
    [InlineData("30 2 * * *", "2026-03-30T00:30:00Z", true)]
    [InlineData("30 2 * * *", "2026-10-25T00:30:00Z", true)] // the first of the two
    [InlineData("30 2 * * *", "2026-10-25T01:30:00Z", false)]
    [InlineData("30 * * * *", "2026-10-25T00:30:00Z", true)] // each hour: both of the two
    [InlineData("30 * * * *", "2026-10-25T01:30:00Z", true)]
    public void Times_follow_the_zone_across_clock_changes(string cron, string at, bool named) =>
        Assert.Equal(named,
            CronSchedule.Parse(cron, "Europe/Berlin")!.Covers(DateTimeOffset.Parse(at, null), TimeSpan.FromMinutes(1)));

    [Fact]
    public void The_next_match_is_after_the_given_time()
    {
        var eight = CronSchedule.Parse("0 8 * * *", "Europe/Berlin")!;
        var seven = new DateTimeOffset(2026, 1, 1, 7, 0, 0, TimeSpan.Zero);
        Assert.Equal(seven, eight.NextAfter(seven.AddSeconds(-1)));
        Assert.Equal(seven.AddDays(1), eight.NextAfter(seven));
    }

    [Fact]
    public void A_long_duration_after_a_rare_time_is_covered_to_its_end()
    {
        var monday = CronSchedule.Parse("0 0 * * MON", "UTC")!;
        Assert.True(monday.Covers(new DateTimeOffset(2026, 3, 8, 23, 59, 0, TimeSpan.Zero), TimeSpan.FromDays(7)));
        Assert.False(monday.Covers(new DateTimeOffset(2026, 3, 8, 0, 0, 0, TimeSpan.Zero), TimeSpan.FromDays(6)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("* * * * * *")]
    [InlineData("60 * * * *")]
    [InlineData("* 24 * * *")]
    [InlineData("* * 0 * *")]
    [InlineData("* * * 13 *")]
    [InlineData("* * * * 8")]
    [InlineData("5-1 * * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("1/2/3 * * * *")]
    [InlineData("a * * * *")]
    [InlineData("-1 * * * *")]
    [InlineData("1, * * * *")]
    [InlineData("@daily")]
    [InlineData("0 0 30 2 *")]
    [InlineData("0 0 31 4,6 *")]
    [InlineData("0 8 13 * FRI")]
    [InlineData("0 8 1,15 * 1-5")]
    public void An_invalid_expression_is_rejected(string cron) => Assert.Null(CronSchedule.Parse(cron, "UTC"));

    /// <summary>Without the limit, the parser overflows the stack and ends the process.</summary>
    [Theory]
    [InlineData(200_000)]
    [InlineData(257)]
    public void An_expression_that_is_too_long_is_rejected(int length) =>
        Assert.Null(CronSchedule.Parse("0 8 * * 1" + string.Concat(Enumerable.Repeat(",1", length / 2)), "UTC"));

    [Fact]
    public void A_list_within_the_limit_is_accepted() =>
        Assert.NotNull(CronSchedule.Parse("0 8 * * 1" + string.Concat(Enumerable.Repeat(",1", 100)), "UTC"));

    [Fact]
    public void The_number_of_cached_expressions_is_bounded()
    {
        for (var n = 0; n < 2 * CronSchedule.MaxCached; n++)
            Assert.NotNull(CronSchedule.GetOrParse($"{n % 60} {n / 60 % 24} {1 + (n / 1440)} * *", "UTC"));
        Assert.InRange(CronSchedule.Cached, 1, CronSchedule.MaxCached);
    }

    [Fact]
    public void An_unknown_time_zone_is_rejected() => Assert.Null(CronSchedule.Parse("* * * * *", "Atlantis/Capital"));
}
