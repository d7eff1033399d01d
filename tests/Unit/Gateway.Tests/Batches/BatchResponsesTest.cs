using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Domain.Batches;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Batches;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Batches;

/// <summary>Tests lines of batches of <c>/v1/responses</c>.</summary>
public sealed class BatchResponsesTest
{
    private static readonly BatchLine Valid = Line("""{"model":"m","input":"a","metadata":{"k":"v"}}""");

    [Fact]
    public void A_line_becomes_a_chat_and_its_answer_a_response()
    {
        Assert.Equal("""{"model":"m","messages":[{"role":"user","content":"a"}]}""",
            Encoding.UTF8.GetString(BatchResponses.ToChat(Valid)));
        var response = Answer(HttpStatusCode.OK,
            """{"choices":[{"message":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2}}""");
        Assert.Equal(("completed", "b", "v", false, 2), ((string?)response["status"],
            (string?)response["output"]![0]!["content"]![0]!["text"], (string?)response["metadata"]!["k"],
            (bool)response["store"]!, (int)response["usage"]!["total_tokens"]!));
        Assert.Matches("^resp_[0-9a-f]{32}$", (string?)response["id"]);
        Assert.Equal((string?)response["id"], (string?)Answer(HttpStatusCode.OK, "{}")["id"]);
    }

    [Fact]
    public void An_error_of_a_worker_names_the_field_of_the_line()
    {
        var error = Answer(HttpStatusCode.BadRequest, """{"error":{"message":"x","param":"messages[0]"}}""");
        Assert.Equal("input[0]", (string?)error["error"]!["param"]);
    }

    [Theory]
    [InlineData("""{"model":"m","input":"a"}""", null)]
    [InlineData("""{"model":"m","input":[{"type":"x"}]}""", "body.input[0].type")]
    [InlineData("""{"model":"m","input":"a","background":true}""", "body.background")]
    [InlineData("""{"model":"m","input":"a","previous_response_id":"x"}""", "body.previous_response_id")]
    public void A_line_is_checked_before_the_batch_runs(string body, string? param) =>
        Assert.Equal(param, BatchResponses.Check(Line(body))?.Field);

    private static BatchLine Line(string body) => new(2, "x", "m", Encoding.UTF8.GetBytes(body));

    private static JsonNode Answer(HttpStatusCode status, string body)
    {
        var job = new Job
        {
            Id = "j",
            EndpointId = "e",
            Flow = "key",
            Status = JobStatus.Completed,
            Output = PathJob.Read(status, Encoding.UTF8.GetBytes(body)).Output,
        };
        var line = BatchResult.From("batch_7", Valid, BatchResponses.Endpoint, job).Json;
        return JsonNode.Parse(line)!["response"]!["body"]!;
    }
}
