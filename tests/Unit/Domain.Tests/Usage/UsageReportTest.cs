using System.Globalization;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Domain.Usage;

namespace Sluice.Domain.Tests.Usage;

/// <summary>Reports of usage: groups, idle time, prices and steps.</summary>
public sealed class UsageReportTest
{
    private static readonly DateTimeOffset Hour = new(2026, 11, 30, 7, 0, 0, TimeSpan.Zero);

    private static readonly PriceTable Prices = new("EUR",
    [
        new Price("h100", default, 3), new Price("H100", Hour.AddHours(1), 6), new Price("cpu", default, 0.36),
    ]);

    [Fact]
    public void Groups_share_the_time_and_the_cost_of_workers()
    {
        var period = Period(Hour,
            (new UsageRow("", "m", "2xH100"), UsageQuantity.Starting, 60_000),
            (new UsageRow("", "m", "2xH100"), UsageQuantity.Ready, 600_000),
            (new UsageRow("a", "m", "2xH100"), UsageQuantity.Busy, 100_000_000),
            (new UsageRow("b", "m", "2xH100"), UsageQuantity.Busy, 200_000_000),
            (new UsageRow("b", "m", "2xH100"), UsageQuantity.Requests, 4));
        var byKey = Report(UsageStep.Day, (_, row) => [row.Key.Length > 0 ? row.Key : null], period);
        var byEndpoint = Report(UsageStep.Day, (endpoint, _) => [endpoint], period);

        Assert.Equal([(null, 60, 0, 300), ("a", 0, 100, 0), ("b", 0, 200, 0)],
            byKey.Select(l => (l.Group, l.Seconds.Starting, l.Seconds.Busy, l.Seconds.Idle)));
        Assert.Equal([0.6, 0.166667, 0.333333], byKey.Select(l => Math.Round(l.Cost, 6)));
        var whole = Assert.Single(byEndpoint);
        Assert.Equal((UsageStep.Day.Begin(Hour), "e", 660.0, 4L),
            (whole.At, whole.Group, whole.Seconds.Total, whole.Sums[UsageQuantity.Requests]));
        Assert.Equal(byKey.Sum(l => l.Cost), whole.Cost, 9);
    }

    [Fact]
    public void The_workers_of_a_time_have_the_prices_of_that_time()
    {
        Assert.Equal((9.36, 0), Prices.Sum(["H100", "2xH100", ""], Hour));
        Assert.Equal((6.18, 1), Prices.Sum(["h100", "0.5xcpu", "L4"], Hour.AddHours(1)));
        Assert.Equal((0, 0), Prices.Sum([], Hour));
        Assert.Equal((null, 0), PriceTable.Empty.Sum(["H100"], Hour));
    }

    [Fact]
    public void More_work_than_ready_time_is_no_negative_idle_time()
    {
        var line = Assert.Single(Report(UsageStep.Hour, (_, _) => ["all"], Period(Hour,
            (new UsageRow("", "", ""), UsageQuantity.Ready, 1000),
            (new UsageRow("a", "", ""), UsageQuantity.Busy, 5_000_000))));
        Assert.Equal(new WorkerSeconds(0, 5, 0), line.Seconds);
        Assert.Equal(5 * 0.36 / 3600, line.Cost, 9);
    }

    [Fact]
    public void Each_hour_has_the_price_of_its_time_and_a_type_without_one_is_listed()
    {
        var gpu = new UsageRow("a", "", "H100");
        var lines = Report(UsageStep.Month, (_, _) => ["all"],
            Period(Hour, (gpu, UsageQuantity.Busy, 3_600_000_000)),
            Period(Hour.AddHours(1), (gpu, UsageQuantity.Busy, 3_600_000_000)),
            Period(Hour, (gpu with { Gpu = "L4" }, UsageQuantity.Busy, 2_000_000)));
        var line = Assert.Single(lines);
        Assert.Equal((9.0, 2.0), (Math.Round(line.Cost, 9), line.UnpricedSeconds));
        Assert.Null(new PriceTable("EUR", [new Price("cpu", Hour, 1)]).PerHour("", Hour.AddSeconds(-1)));
    }

    [Fact]
    public void Devices_are_counted_by_type_and_share()
    {
        var inventory = new Inventory
        {
            Gpus =
            [
                Gpu("u1", "NVIDIA H100 80GB HBM3") with { MemoryMiB = 80_000 }, Gpu("u2", "NVIDIA H100 80GB HBM3"),
                Gpu("u3", "Other 1"),
            ],
        };
        Assert.Equal("", GpuUse.Describe(inventory, []));
        Assert.Equal("H100", GpuUse.Describe(inventory, [new HeldDevice("u2", null)]));
        Assert.Equal("2xH100", GpuUse.Describe(inventory, [new HeldDevice("u1", null), new HeldDevice("u2", null)]));
        Assert.Equal("0.25xH100", GpuUse.Describe(inventory, [new HeldDevice("u1", 20_000)]));
        Assert.Equal("Other 1", GpuUse.Describe(inventory, [new HeldDevice("u3", null)]));
        Assert.Equal(("H100", 0.25), GpuUse.Parse("0.25xH100"));
        Assert.Equal(("RTX-5090", 1), GpuUse.Parse("RTX-5090"));
    }

    [Theory]
    [InlineData(UsageStep.Day, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z")]
    [InlineData(UsageStep.Week, "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z")]
    [InlineData(UsageStep.Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")]
    public void Steps_are_in_UTC(UsageStep step, string begin, string end)
    {
        var at = new DateTimeOffset(2026, 12, 1, 1, 30, 0, TimeSpan.FromHours(2));
        Assert.Equal((Parse(begin), Parse(end)), (step.Begin(at), step.End(at)));
        Assert.Equal(step.End(at), step.Begin(step.End(at)));
    }

    [Fact]
    public void A_row_is_read_as_it_was_written()
    {
        var row = new UsageRow("key", "a|b", "H100");
        Assert.Equal((row with { Model = "a/b" }, "in"), UsageRow.Parse(row.Text + "|in"));
        Assert.Null(UsageRow.Parse("a|b"));
        foreach (var quantity in Enum.GetValues<UsageQuantity>())
            Assert.Equal(quantity, UsageQuantities.Find(UsageQuantities.NameOf(quantity)));
        Assert.Null(UsageQuantities.Find("later"));
    }

    private static DateTimeOffset Parse(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);

    private static Gpu Gpu(string uuid, string name) => new() { Index = 0, Uuid = uuid, Name = name };

    private static UsagePeriod Period(
        DateTimeOffset at, params (UsageRow Row, UsageQuantity Quantity, long Count)[] sums)
    {
        var rows = new Dictionary<UsageRow, UsageSums>();
        foreach (var (row, quantity, count) in sums)
        {
            if (!rows.TryGetValue(row, out var all)) rows[row] = all = new UsageSums();
            all.Add(quantity, count);
        }

        return new UsagePeriod("e", at, UsagePeriodLength.Hour, rows);
    }

    private static IReadOnlyList<UsageLine> Report(
        UsageStep step, Func<string, UsageRow, IEnumerable<string?>> groups, params UsagePeriod[] periods)
    {
        var report = new UsageReport(Prices, at => step.Begin(at), groups);
        foreach (var period in periods) report.Add(period);
        return report.Lines;
    }
}
