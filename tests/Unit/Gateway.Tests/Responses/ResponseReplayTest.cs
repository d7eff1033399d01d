using System.Text;
using System.Text.Json.Nodes;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Responses;

namespace Sluice.Gateway.Tests.Responses;

/// <summary>Tests the state of a response in the background for each state of its job.</summary>
public sealed class ResponseReplayTest
{
    private const string Chat =
        """{"choices":[{"message":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2}}""";

    private static readonly byte[] Log = Encoding.UTF8.GetBytes(
        """{"marks":"0 ","chunks":[{"choices":[{"delta":{"content":"a"}}]},"""
        + """{"choices":[{"delta":{},"finish_reason":"stop"}]}]}""");

    [Theory]
    [InlineData(JobStatus.Completed, """{"status_code":200,"body":CHAT}""", "completed", null)]
    [InlineData(JobStatus.Completed, """{"status_code":200,"body":7}""", "failed", "server_error")]
    [InlineData(JobStatus.Completed, """{"status_code":400,"body":{"error":{"message":"m","code":null}}}""", "failed",
        "invalid_prompt")]
    [InlineData(JobStatus.Completed, """{"status_code":400,"body":{"error":{"message":"m","code":"c"}}}""", "failed",
        "c")]
    [InlineData(JobStatus.Failed, null, "failed", "server_error")]
    [InlineData(JobStatus.TimedOut, null, "failed", "server_error")]
    [InlineData(JobStatus.Cancelled, null, "cancelled", null)]
    public void The_end_of_a_job_is_the_end_of_its_response(
        string status, string? output, string expected, string? code)
    {
        var replay = new ResponseReplay(Record(isStreamed: false));
        replay.Queue();
        replay.Start();
        var last = replay.End(Job(status, output?.Replace("CHAT", Chat, StringComparison.Ordinal)))[^1]["response"]!;
        Assert.Equal((expected, code, "v"),
            ((string?)last["status"], (string?)last["error"]?["code"], (string?)last["metadata"]!["k"]));
        Assert.Equal(last.ToJsonString(), replay.ToObject().ToJsonString());
    }

    [Fact]
    public void A_stream_is_repeated_from_the_log()
    {
        var first = Events();
        Assert.Equal("response.completed", (string?)first[^1]["type"]);
        Assert.Equal("a", (string?)first[^1]["response"]!["output"]![0]!["content"]![0]!["text"]);
        Assert.Equal(Enumerable.Range(0, first.Count), first.Select(e => (int)e["sequence_number"]!));
        Assert.Equal(first.Select(e => e.ToJsonString()), Events().Select(e => e.ToJsonString()));

        static List<JsonObject> Events()
        {
            var replay = new ResponseReplay(ResponseRecord.Parse(Record(isStreamed: true).Write()));
            return
            [
                .. replay.Queue(), .. replay.Start(), .. replay.Add("""{"resume":"x"}"""u8.ToArray()),
                .. replay.Add(Log), .. replay.Add("""{"end":true}"""u8.ToArray()),
                .. replay.End(Job(JobStatus.Completed, """{"status_code":200,"body":null}""")),
            ];
        }
    }

    [Fact]
    public void A_cancelled_stream_keeps_its_text()
    {
        var replay = new ResponseReplay(Record(isStreamed: true));
        replay.Queue();
        replay.Start();
        replay.Add(Log);
        replay.End(Job(JobStatus.Cancelled, null));
        var item = replay.ToObject()["output"]![0]!;
        Assert.Equal(("incomplete", "a"), ((string?)item["status"], (string?)item["content"]![0]!["text"]));
    }

    private static ResponseRecord Record(bool isStreamed)
    {
        var echo = new JsonObject { ["metadata"] = new JsonObject { ["k"] = "v" } };
        var assembler = new ResponseAssembler("resp_1", 5, echo);
        assembler.Queue();
        return new ResponseRecord(assembler.ToObject(), [], new BackgroundJob("e", "j", isStreamed));
    }

    private static Job Job(string status, string? output) => new()
    {
        Id = "j",
        EndpointId = "e",
        Flow = "key",
        Status = status,
        Output = output is null ? default(ReadOnlyMemory<byte>?) : Encoding.UTF8.GetBytes(output),
        Error = output is null ? new JobError("X", "why", false) : null,
    };
}
