using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>The stages of a start, combined from host and worker, for the requests that waited.</summary>
public sealed class StartStagesTest
{
    private static readonly StartStage[] FromWorker =
    [
        new("runtime", 60),
        new("host", 190),
        new("ort", 200.25),
        new("model", 140),
        new("warmup", 30),
        new("total", 430),
    ];

    [Fact]
    public void The_time_that_no_stage_reports_is_the_spawn()
    {
        StartStage[] container = [new("create", 50), new("start", 100)];
        var stages = StartStages.Combine(TimeSpan.FromMilliseconds(2), container, FromWorker, 600);
        string[] names =
            ["placed", "create", "start", "spawn", "runtime", "host", "ort", "model", "warmup", "total"];
        Assert.Equal(names, stages.Select(s => s.Name));
        Assert.Equal((2, 18, 600), (stages[0].Ms, stages[3].Ms, stages[^1].Ms));
    }

    [Fact]
    public void A_worker_that_reports_more_than_the_whole_start_causes_no_negative_stage()
    {
        var stages = StartStages.Combine(TimeSpan.Zero, [], [new("total", 1e9)], 600);
        Assert.Equal(0, stages.Single(s => s.Name == "spawn").Ms);
    }

    [Fact]
    public void Packed_stages_are_the_consecutive_ones_and_the_total()
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
    [InlineData("queued")] // The name has another meaning there.
    public void A_name_that_is_invalid_in_a_header_or_a_job_record_is_omitted(string name) =>
        Assert.Equal("model=1", StartStages.Pack([new(name, 5), new("model", 1)]));

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(-1)]
    public void A_stage_without_a_valid_time_is_omitted(double ms) =>
        Assert.Equal("model=1", StartStages.Pack([new("load", ms), new("model", 1)]));

    [Fact]
    public void A_duplicate_name_is_packed_once() =>
        Assert.Equal("model=1", StartStages.Pack([new("model", 1), new("model", 2)]));

    [Fact]
    public void The_number_of_packed_stages_is_limited()
    {
        var many = Enumerable.Range(0, 100).Select(n => new StartStage($"s{n}", n));
        Assert.Equal(16, StartStages.Unpack(StartStages.Pack([.. many])).Count);
    }

    [Fact]
    public void An_empty_text_has_no_stages() => Assert.Empty(StartStages.Unpack(""));

    [Fact]
    public void Metric_labels_are_the_built_in_stages_and_other() =>
        Assert.Equal(["placed", "warmup", "other"],
            new[] { "placed", "warmup", "made-up-17" }.Select(StartStages.Label));
}
