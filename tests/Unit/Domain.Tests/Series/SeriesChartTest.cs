using Sluice.Domain.Series;

namespace Sluice.Domain.Tests.Series;

public sealed class SeriesChartTest
{
    [Fact]
    public void Gateways_and_endpoints_add_up_and_levels_of_gateways_do_not()
    {
        var chart = SeriesChart.Make(
            [
                [(100, Counts(3, 1, queued: 4, ready: 1, ms: 10)), (100, Counts(2, 0, queued: 5, ready: 2, ms: 1000))],
                [(100, Counts(1, 1, queued: 1, ready: 1, ms: 10)), (120, Counts(9, 0, null, null, ms: 10))],
                [],
            ],
            10, 100, 130);
        Assert.Equal([100, 110, 120], chart.Times);
        Assert.Equal([6, 0, 9], chart.Requests);
        Assert.Equal([2, 0, 0], chart.Errors);
        Assert.Equal([60, 0, 90], chart.Tokens);
        Assert.Equal<long?>([6, null, null], chart.Queued);
        Assert.Equal<long?>([3, null, null], chart.WorkersReady);
        Assert.Equal<long?>([0, null, null], chart.WorkersStarting);
        Assert.InRange(chart.TotalP50Ms[0]!.Value, 9.5, 10.5);
        Assert.InRange(chart.TotalP95Ms[0]!.Value, 950, 1050);
        Assert.Null(chart.TotalP95Ms[1]);
        Assert.Null(chart.ColdP50Ms[0]);
    }

    [Fact]
    public void Longer_steps_have_the_sums_and_the_highest_levels_of_the_stored_ones()
    {
        var chart = SeriesChart.Make(
            [[(90, Counts(7, 0, 9, 9, 1)), (100, Counts(1, 0, 2, 1, 1)), (110, Counts(1, 0, 5, 1, 1)),
                (120, Counts(1, 1, 3, 0, 1)), (130, Counts(4, 0, null, 1, 1)), (160, Counts(7, 0, 9, 9, 1))]],
            30, 100, 160);
        Assert.Equal([100, 130], chart.Times);
        Assert.Equal([3, 4], chart.Requests);
        Assert.Equal<long?>([5, null], chart.Queued);
        Assert.Equal<long?>([1, 1], chart.WorkersReady);
    }

    [Theory]
    [InlineData(1, 10, 10)]
    [InlineData(60, 10, 10)]
    [InlineData(61, 10, 30)]
    [InlineData(120, 10, 30)]
    [InlineData(121, 300, 300)]
    [InlineData(2880, 300, 300)]
    public void A_chart_is_read_from_steps_that_are_still_stored(int minutes, int stored, int shown)
    {
        var (resolution, seconds) = SeriesResolution.Select(minutes);
        Assert.Equal((stored, shown), (resolution.StepSeconds, seconds));
        Assert.True(TimeSpan.FromMinutes(minutes) <= resolution.Life);
        Assert.True(minutes * 60 / seconds <= 576);
    }

    [Fact]
    public void Counts_survive_their_stored_form_and_other_forms_are_ignored()
    {
        var counts = Counts(300, 2, queued: 0, ready: null, ms: 12);
        counts.Queue.Add(TimeSpan.Zero);
        counts.Cold.Add(TimeSpan.FromSeconds(30));
        counts.FirstToken.Add(TimeSpan.FromMilliseconds(80));
        counts.Run.Add(TimeSpan.FromHours(9));
        var stored = counts.Write();
        Assert.InRange(stored.Length, 1, 60);
        var read = SeriesCounts.Read(stored)!;
        Assert.Equal((300, 2, 3000, 0L, null, 0L),
            (read.Requests, read.Errors, read.Tokens, read.Queued, read.Ready, read.Starting));
        Assert.Equal(counts.Total.Counts, read.Total.Counts);
        Assert.Equal(counts.Run.Counts, read.Run.Counts);
        Assert.Equal((1, 1, 1), (read.Queue.Count, read.Cold.Count, read.FirstToken.Count));
        for (var length = 0; length < stored.Length; length++) Assert.Null(SeriesCounts.Read(stored[..length]));
        Assert.Null(SeriesCounts.Read([2, .. stored[1..]]));
        var random = new Random(3);
        for (var i = 0; i < 2000; i++)
        {
            var damaged = (byte[])stored.Clone();
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            _ = SeriesCounts.Read(damaged);
        }
    }

    private static SeriesCounts Counts(long requests, long errors, long? queued, long? ready, double ms)
    {
        var counts = new SeriesCounts
        {
            Requests = requests, Errors = errors, Tokens = 10 * requests, Queued = queued, Ready = ready,
            Starting = queued is null ? null : 0,
        };
        for (var i = 0; i < requests; i++) counts.Total.Add(TimeSpan.FromMilliseconds(ms));
        return counts;
    }
}
