using System.Diagnostics;
using OpenTelemetry.Trace;
using Sluice.Gateway.Tracing;

namespace Sluice.Gateway.Tests.Tracing;

public sealed class LinkSamplerTest
{
    [Theory]
    [InlineData("parentbased_always_off", true, SamplingDecision.RecordAndSample)]
    [InlineData("parentbased_always_off", false, SamplingDecision.Drop)]
    [InlineData("parentbased_always_off", null, SamplingDecision.Drop)]
    [InlineData("parentbased_always_on", null, SamplingDecision.RecordAndSample)]
    public void An_attempt_is_recorded_if_its_submission_was(
        string sampler, bool? isLinkRecorded, SamplingDecision expected)
    {
        var settings = TracingSettings.Read(n => n == "OTEL_TRACES_SAMPLER" ? sampler : null);
        var links = isLinkRecorded is { } recorded ? new[] { new ActivityLink(Context(recorded)) } : null;
        var parameters = new SamplingParameters(
            default, ActivityTraceId.CreateRandom(), "attempt", ActivityKind.Consumer, null, links);
        Assert.Equal(expected, LinkSampler.Create(settings).ShouldSample(parameters).Decision);
    }

    [Theory]
    [InlineData("always_off", SamplingDecision.Drop)]
    [InlineData("parentbased_always_off", SamplingDecision.Drop)]
    [InlineData("parentbased_always_on", SamplingDecision.RecordAndSample)]
    public void A_line_of_a_recorded_batch_is_sampled_like_a_request(string sampler, SamplingDecision expected)
    {
        var settings = TracingSettings.Read(n => n == "OTEL_TRACES_SAMPLER" ? sampler : null);
        var parameters = new SamplingParameters(default, ActivityTraceId.CreateRandom(), "submit",
            ActivityKind.Producer, null, [new ActivityLink(Context(recorded: true))]);
        Assert.Equal(expected, LinkSampler.Create(settings).ShouldSample(parameters).Decision);
    }

    [Fact]
    public void A_span_in_a_trace_follows_its_parent_and_not_its_links()
    {
        var settings = TracingSettings.Read(_ => null);
        var parameters = new SamplingParameters(Context(recorded: false), ActivityTraceId.CreateRandom(), "x",
            ActivityKind.Internal, null, [new ActivityLink(Context(recorded: true))]);
        Assert.Equal(SamplingDecision.Drop, LinkSampler.Create(settings).ShouldSample(parameters).Decision);
    }

    private static ActivityContext Context(bool recorded) => new(ActivityTraceId.CreateRandom(),
        ActivitySpanId.CreateRandom(), recorded ? ActivityTraceFlags.Recorded : ActivityTraceFlags.None);
}
