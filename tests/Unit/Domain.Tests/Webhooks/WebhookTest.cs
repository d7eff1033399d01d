using Sluice.Domain.Webhooks;
using Sluice.Testing;

namespace Sluice.Domain.Tests.Webhooks;

public sealed class WebhookTest
{
    /// <summary>The test vector of the Standard Webhooks reference libraries (javascript/src/index.test.ts).</summary>
    [Trait("Fault", "H8")]
    [Fact]
    [Trait("Matrix", "fault")]
    public void Signatures_match_the_specification()
    {
        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            WebhookSignature.Sign(
                ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1614265330,
                """{"test": 2432232314}"""u8));
        FaultMatrix.Seen("H8", $"the specification's vector exactly");
    }

    [Fact]
    public void Two_secrets_make_two_signatures()
    {
        var (old, fresh) = (WebhookSignature.NewSecret(), WebhookSignature.NewSecret());
        var both = WebhookSignature.Sign([fresh, old], "msg_1", 1, "{}"u8).Split(' ');
        Assert.Equal(
            [WebhookSignature.Sign([fresh], "msg_1", 1, "{}"u8), WebhookSignature.Sign([old], "msg_1", 1, "{}"u8)],
            both);
    }

    [Fact]
    public void The_schedule_is_the_one_of_the_specification_and_ends()
    {
        Assert.Equal(TimeSpan.FromSeconds(5), WebhookSchedule.Next(1, null, 0));
        Assert.Equal(TimeSpan.FromSeconds(5.5), WebhookSchedule.Next(1, null, 1));
        Assert.Equal(TimeSpan.FromHours(24), WebhookSchedule.Next(9, null, 0));
        Assert.Null(WebhookSchedule.Next(10, null, 0));
        Assert.Equal(TimeSpan.FromMinutes(1), WebhookSchedule.Next(1, TimeSpan.FromMinutes(1), 0));
        Assert.Equal(TimeSpan.FromSeconds(5), WebhookSchedule.Next(1, TimeSpan.FromSeconds(1), 0));
        Assert.Equal(TimeSpan.FromDays(1), WebhookSchedule.Next(1, TimeSpan.FromDays(300), 0));
        Assert.True(WebhookSchedule.Pauses.Aggregate(TimeSpan.Zero, (a, b) => a + b) > TimeSpan.FromHours(70));
    }

    [Theory]
    [InlineData(200, WebhookVerdict.Delivered)]
    [InlineData(204, WebhookVerdict.Delivered)]
    [InlineData(301, WebhookVerdict.Again)]
    [InlineData(307, WebhookVerdict.Again)]
    [InlineData(404, WebhookVerdict.Again)]
    [InlineData(410, WebhookVerdict.GivenUp)]
    [InlineData(429, WebhookVerdict.Again)]
    [InlineData(500, WebhookVerdict.Again)]
    public void A_response_status_is_classified(int status, WebhookVerdict verdict) =>
        Assert.Equal(verdict, WebhookSchedule.Classify(status));
}
