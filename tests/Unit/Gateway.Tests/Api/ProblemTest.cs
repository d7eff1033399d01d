using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Api;

public sealed class ProblemTest
{
    [Theory]
    [InlineData(ForwardOutcome.Answered, null)]
    [InlineData(ForwardOutcome.ClientGone, null)]
    [InlineData(ForwardOutcome.CutShort, null)]
    [InlineData(ForwardOutcome.QueueFull, 429)]
    [InlineData(ForwardOutcome.QueueTimeout, 504)]
    [InlineData(ForwardOutcome.CannotStart, 503)]
    [InlineData(ForwardOutcome.StoreUnreachable, 503)]
    [InlineData(ForwardOutcome.BodyTooLarge, 413)]
    [InlineData(ForwardOutcome.BodyBroken, 400)]
    [InlineData(ForwardOutcome.NotForwardable, 400)]
    [InlineData(ForwardOutcome.WorkerLost, 502)]
    [InlineData(ForwardOutcome.WorkerAnswerInvalid, 502)]
    [InlineData(ForwardOutcome.WorkerTimeout, 504)]
    public void An_outcome_maps_to_its_status(ForwardOutcome outcome, int? status) =>
        Assert.Equal(status, outcome.GetStatus());

    [Fact]
    public void Every_outcome_has_a_status() => Assert.All(Enum.GetValues<ForwardOutcome>(), o => o.GetStatus());

    [Theory]
    [InlineData(0.2, "1")]
    [InlineData(1.2, "2")]
    [InlineData(1e9, "86400")]
    public async Task Retry_after_is_whole_seconds(double seconds, string header)
    {
        var context = new DefaultHttpContext { Response = { Body = new MemoryStream() } };
        await Problem.WriteAsync(context, 429, "full", TimeSpan.FromSeconds(seconds));
        Assert.Equal(header, context.Response.Headers.RetryAfter.ToString());
        Assert.Equal("application/problem+json", context.Response.ContentType);
    }
}
