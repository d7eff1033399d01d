using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>One timeline of a start, from those who each know a part of it to those who waited for it.</summary>
public sealed class StartStagesTest
{
    private static readonly StartStage[] FromWorker = [new("runtime", 60), new("host", 190), new("ort", 200.25), new("model", 140), new("warmup", 30), new("total", 430)];

    [Fact]
    public void What_nobody_tells_of_is_the_spawn()
    {
        var stages = StartStages.Combine(TimeSpan.FromMilliseconds(2), [new("create", 50), new("start", 100)], FromWorker, 600);
        Assert.Equal(["placed", "create", "start", "spawn", "runtime", "host", "ort", "model", "warmup", "total"], stages.Select(s => s.Name));
        Assert.Equal((2, 18, 600), (stages[0].Ms, stages[3].Ms, stages[^1].Ms));
    }

    [Fact]
    public void A_worker_that_claims_more_than_the_whole_start_makes_no_negative_stage() =>
        Assert.Equal(0, StartStages.Combine(TimeSpan.Zero, [], [new("total", 1e9)], 600).Single(s => s.Name == "spawn").Ms);

    [Fact]
    public void Those_who_waited_are_told_the_stages_that_follow_one_another()
    {
        var packed = StartStages.Pack(StartStages.Combine(TimeSpan.FromMilliseconds(2), [], FromWorker, 460));
        Assert.Equal("placed=2,process=28,runtime=60,provider=200.3,model=140,warmUp=30,total=460", packed);
        Assert.Equal(new StartStage("provider", 200.3), StartStages.Unpack(packed)[3]);
    }

    [Theory]
    [InlineData("a|b")]
    [InlineData("a=b")]
    [InlineData("a,b")]
    [InlineData("")]
    [InlineData("a name with spaces")]
    [InlineData("a-name-that-is-far-longer-than-any-stage")]
    [InlineData("a\r\nSet-Cookie")]
    [InlineData("queued")] // it stands for something else there
    public void A_name_that_a_header_or_a_job_s_record_could_not_hold_is_left_out(string name) =>
        Assert.Equal("model=1", StartStages.Pack([new(name, 5), new("model", 1)]));

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(-1)]
    public void Nor_is_what_is_no_time(double ms) => Assert.Equal("model=1", StartStages.Pack([new("load", ms), new("model", 1)]));

    [Fact]
    public void A_name_that_comes_twice_is_told_once() => Assert.Equal("model=1", StartStages.Pack([new("model", 1), new("model", 2)]));

    [Fact]
    public void However_many_a_worker_tells_few_are_passed_on() =>
        Assert.Equal(16, StartStages.Unpack(StartStages.Pack([.. Enumerable.Range(0, 100).Select(n => new StartStage($"s{n}", n))])).Count);

    [Fact]
    public void Nothing_is_nothing() => Assert.Empty(StartStages.Unpack(""));

    [Fact]
    public void Metrics_name_our_stages_and_no_others() =>
        Assert.Equal(["placed", "warmup", "other"], new[] { "placed", "warmup", "made-up-17" }.Select(StartStages.Label));
}
