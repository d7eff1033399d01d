using System.Text;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Tests.Tokens;

/// <summary>Tests how the usage of a request is found and decided.</summary>
public sealed class TokenUsageTest
{
    private static readonly TokenUsage Estimated = new(100, 0, 500);

    [Theory]
    [InlineData("prompt=12, cached=4, generated=40", 12, 4, 40)]
    [InlineData("generated=40,prompt=12", 12, 0, 40)]
    public void The_header_of_a_worker_is_read(string text, long prompt, long cached, long generated) =>
        Assert.Equal(new TokenUsage(prompt, cached, generated), TokenUsage.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("prompt=12")]
    [InlineData("prompt=-1, generated=4")]
    [InlineData("prompt=99999999999, generated=4")]
    [InlineData("prompt=a, generated=4")]
    public void Another_header_is_ignored(string text) => Assert.Null(TokenUsage.Parse(text));

    [Theory]
    [InlineData(
        """{"usage":{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}}""",
        5, 2, 7, 0)]
    [InlineData("""{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}""", 5, 0, 0, 0)]
    [InlineData(
        """{"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":3}}""", 5, 1, 3, 0)]
    [InlineData("data: {\"usage\":null}\n\ndata: {\"usage\" : {\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
        + "data: [DONE]\n\n", 1, 0, 2, 2)]
    [InlineData("data:{\"text\":\"\\\"usage\\\":{}\"}\r\n\r\n: ping\n\ndata:  {}\nevent: data: {\n", null, 0, 0, 2)]
    [InlineData("""{"usage":{"prompt_tokens":5,"completion_tok""", null, 0, 0, 0)]
    public void The_usage_of_another_program_is_found_in_its_response(
        string body, int? prompt, long cached, long generated, long events)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        TokenUsage? expected = prompt is { } p ? new TokenUsage(p, cached, generated) : null;
        // Parts of every size, also with more before it than is kept.
        foreach (var size in new[] { 1, 2, 3, 7, bytes.Length })
            foreach (var before in new[] { 0, 3000, 100_000 })
            {
                var scanner = new UsageScanner();
                byte[] all = [.. Enumerable.Repeat((byte)'x', before), (byte)'\n', .. bytes];
                foreach (var part in all.Chunk(size + (before / 10))) scanner.Add(part);
                Assert.Equal((expected, events), (scanner.FindUsage(), scanner.Events));
            }
    }

    [Fact]
    public void The_count_of_the_worker_is_used_if_there_is_one()
    {
        var reported = new TokenUsage(90, 10, 20);
        foreach (var end in Enum.GetValues<UsageEnd>())
            Assert.Equal(reported, Evidence(end) with { Reported = reported } is var e ? e.Decide() : default);
    }

    [Theory]
    [InlineData(UsageEnd.Answered, false, 100, 500)]
    [InlineData(UsageEnd.Aborted, false, 100, 500)]
    [InlineData(UsageEnd.Answered, true, 0, 0)]
    [InlineData(UsageEnd.Error, false, 0, 0)]
    [InlineData(UsageEnd.Failed, false, 0, 0)]
    public void Without_a_count_the_end_decides(UsageEnd end, bool canReport, long prompt, long generated)
    {
        Assert.Equal(new TokenUsage(prompt, 0, generated), (Evidence(end) with { CanReport = canReport }).Decide());
        Assert.Equal(default, (Evidence(end) with { WasSent = false }).Decide());
    }

    [Fact]
    public void A_stream_without_a_count_used_what_the_client_has()
    {
        var started = Evidence(UsageEnd.Failed) with { AtStart = new TokenUsage(90, 10, 1), Parts = 30 };
        Assert.Equal(new TokenUsage(90, 10, 30), started.Decide());
        Assert.Equal(new TokenUsage(100, 0, 30), (started with { AtStart = null }).Decide());
    }

    [Fact]
    public void Generated_tokens_without_a_client_are_wasted()
    {
        var aborted = Evidence(UsageEnd.Aborted) with { Parts = 30 };
        Assert.Equal(5, aborted.Wasted(new TokenUsage(1, 0, 35)));
        Assert.Equal(0, (aborted with { End = UsageEnd.Answered }).Wasted(new TokenUsage(1, 0, 35)));
    }

    [Theory]
    [InlineData(0, "0ms")]
    [InlineData(12, "12ms")]
    [InlineData(1000, "1s")]
    [InlineData(1500, "1.5s")]
    [InlineData(60_000, "1m0s")]
    [InlineData(90_250, "1m30.25s")]
    [InlineData(3_600_000, "1h0m0s")]
    public void Durations_have_the_form_of_OpenAI(long ms, string text) =>
        Assert.Equal(text, RateLimitHeaders.Format(TimeSpan.FromMilliseconds(ms)));

    private static UsageEvidence Evidence(UsageEnd end) =>
        new(end, WasSent: true, null, null, 0, Estimated, CanReport: false);
}
