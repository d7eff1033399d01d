using System.Text;
using Sluice.Domain.Batches;

namespace Sluice.Domain.Tests.Batches;

/// <summary>Tests how lines of an input are read, and when a batch takes which step.</summary>
public sealed class BatchLineTest
{
    private const string Url = "/v1/embeddings";

    [Fact]
    public void A_valid_line_has_its_body_as_it_is()
    {
        const string body = """{"model":"m", "input":"é\ud83d"}""";
        var line = Read(
            $$"""{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{{body}}, "x":1}""", out var error);
        Assert.Null(error);
        Assert.Equal((3, "a", "m"), (line!.Number, line.CustomId, line.Model));
        Assert.Equal(body, Encoding.UTF8.GetString(line.Body));
    }

    [Theory]
    [InlineData("{", null)]
    [InlineData("[1]", null)]
    [InlineData("""{"method":"POST"}""", "custom_id")]
    [InlineData("""{"custom_id":7}""", "custom_id")]
    [InlineData("""{"custom_id":""}""", "custom_id")]
    [InlineData("""{"custom_id":"a","method":"GET"}""", "method")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/completions"}""", "url")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/embeddings"}""", "body")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":[]}""", "body")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}""", "body.model")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","stream":1}}""",
        "body.stream")]
    [InlineData("""{"custom_id":"\ud83d","method":"POST"}""", null)]
    public void An_invalid_line_names_line_field_and_value(string json, string? field)
    {
        Assert.Null(Read(json, out var error));
        Assert.Equal((3, field), (error!.Line, error.Field));
        Assert.StartsWith("Line 3", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BatchStatus.Validating, -1, BatchStep.Validate)]
    [InlineData(BatchStatus.InProgress, -1, BatchStep.Run)]
    [InlineData(BatchStatus.InProgress, 0, BatchStep.Expire)]
    [InlineData(BatchStatus.Validating, 1, BatchStep.Expire)]
    [InlineData(BatchStatus.Finalizing, 1, BatchStep.Complete)]
    [InlineData(BatchStatus.Cancelling, 1, BatchStep.Cancel)]
    [InlineData(BatchStatus.Completed, -1, BatchStep.Stop)]
    public void The_status_and_the_time_decide_the_step(string status, int secondsAfterEnd, BatchStep step)
    {
        var end = DateTimeOffset.UnixEpoch.AddDays(1);
        Assert.Equal(step, BatchPlan.Next(status, end.AddSeconds(secondsAfterEnd), end));
    }

    [Fact]
    public void The_bitmap_has_the_order_of_Redis()
    {
        byte[] done = [0b0100_0001, 0b1000_0000];
        Assert.Equal([1, 7, 8], Enumerable.Range(0, 40).Where(n => BatchPlan.IsDone(done, n)));
    }

    private static BatchLine? Read(string json, out BatchLineError? error) =>
        BatchLine.Read(Encoding.UTF8.GetBytes(json), 3, Url, out error);
}
