using Sluice.Worker.Batching;

namespace Sluice.Worker.Tests;

/// <summary>Tests the selection of requests for a batch. A candidate is "rows/shape/priority/due".</summary>
public sealed class BatchPlannerTest
{
    [Theory]
    [InlineData("1/0/1/1", 0, 0, 8, "0", BatchCut.Drained)]
    [InlineData("1/0/1/1 1/0/1/2 1/0/1/3", 0, 0, 2, "0,1", BatchCut.Full)]
    [InlineData("1/0/1/1 1/0/1/2", 6, 0, 8, "0,1", BatchCut.Full)]
    [InlineData("4/0/1/1 3/0/1/2 2/0/1/3 1/0/1/4", 0, 0, 8, "0,1", BatchCut.NextTooLarge)]
    [InlineData("1/0/1/1 1/7/1/2 1/0/1/3", 0, 0, 8, "0,2", BatchCut.Shape)]
    [InlineData("1/7/1/1 1/0/1/2", 2, 0, 8, "1", BatchCut.Shape)]
    [InlineData("1/0/5/1 1/0/1/9 1/0/1/8", 0, 0, 8, "2,1,0", BatchCut.Drained)]
    [InlineData("1/0/5/1 1/9/1/9", 0, 0, 8, "1", BatchCut.Shape)]
    [InlineData("40/0/1/1 1/0/1/2", 0, 0, 8, "0", BatchCut.Full)]
    [InlineData("40/0/1/2 1/0/1/1", 0, 0, 8, "1", BatchCut.NextTooLarge)]
    [InlineData("1/0/1/1 1/0/1/2", 0, 0, 1, "0", BatchCut.Unbatched)]
    public void The_first_request_sets_the_shape_and_others_join_while_they_fit(
        string waiting,
        int openRows,
        int openShape,
        int max,
        string taken,
        BatchCut why)
    {
        var candidates = waiting.Split(' ').Select(c => c.Split('/').Select(int.Parse).ToArray())
            .Select(c => new BatchCandidate(c[0], c[1], (uint)c[2], c[3])).ToArray();
        var into = new int[candidates.Length];
        var (count, cut) = BatchPlanner.Plan(candidates, openRows, openShape, max, into);
        Assert.Equal((taken, why), (string.Join(',', into.Take(count)), cut));
    }

    [Theory]
    [InlineData(100, 207, 8, 3.9, true)]
    [InlineData(100, 762, 8, 1.0, false)]
    [InlineData(100, 727, 8, 1.1, false)]
    [InlineData(100, 0, 8, 1.0, false)]
    public void A_batch_waits_only_if_batching_speeds_up_rows(
        int one,
        int many,
        int rows,
        double factor,
        bool pays)
    {
        var gain = new BatchSpeedup(TimeSpan.FromMicroseconds(one), TimeSpan.FromMicroseconds(many), rows);
        Assert.Equal((factor, pays), (Math.Round(gain.Factor, 1), gain.Pays));
    }
}
