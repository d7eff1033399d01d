using System.Text.Json.Nodes;
using Sluice.Gateway.Responses;

namespace Sluice.Gateway.Tests.Responses;

/// <summary>Tests the events of a response, their order and their ids.</summary>
public sealed class ResponseAssemblerTest
{
    private const string Counts =
        """{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}""";

    [Fact]
    public void A_text_has_the_events_of_the_api_in_their_order()
    {
        var (events, response) =
            Run("""{"role":"assistant","content":""}""", """{"content":"Hel"}""", """{"content":"lo"}""");
        Assert.Equal(
            [
                "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.completed",
            ], Types(events));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => (int)e["sequence_number"]!));
        Assert.Equal("Hello", (string?)response["output"]![0]!["content"]![0]!["text"]);
        Assert.Equal("Hello", (string?)events[6]["text"]);
        Assert.Equal("completed", (string?)response["status"]);
        var item = (string?)response["output"]![0]!["id"];
        Assert.All(events.Where(e => e["item_id"] is not null), e => Assert.Equal(item, (string?)e["item_id"]));
        Assert.All(events.Where(e => e["item"] is not null), e => Assert.Equal(item, (string?)e["item"]!["id"]));
        Assert.Equal(
            """{"input_tokens":7,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"""
            + "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":10}",
            response["usage"]!.ToJsonString());
        Assert.Equal(response.ToJsonString(), events[^1]["response"]!.ToJsonString());
    }

    [Fact]
    public void Calls_are_items_with_their_arguments()
    {
        var (events, response) = Run("""{"content":"Look"}""",
            """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}""");
        var items = response["output"]!.AsArray();
        Assert.Equal(["message", "function_call", "function_call"], items.Select(i => (string?)i!["type"]));
        Assert.Equal(("c1", "f", """{"a":1}"""),
            ((string?)items[1]!["call_id"], (string?)items[1]!["name"], (string?)items[1]!["arguments"]));
        Assert.Equal("{}", (string?)items[2]!["arguments"]);
        Assert.All(items, i => Assert.Equal("completed", (string?)i!["status"]));
        Assert.Equal(["""{"a":1}""", "{}"], events
            .Where(e => (string?)e["type"] == "response.function_call_arguments.done")
            .Select(e => (string?)e["arguments"]));
        Assert.Equal(3, items.Select(i => (string?)i!["id"]).Distinct().Count());
        Assert.Equal([0, 1, 2], events.Where(e => (string?)e["type"] == "response.output_item.added")
            .Select(e => (int)e["output_index"]!));
    }

    [Fact]
    public void A_call_that_grows_after_another_item_began_fails()
    {
        var (events, response) = Run(
            """{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{"}}]}""",
            """{"tool_calls":[{"index":1,"id":"c2","function":{"name":"g","arguments":"{}"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}""");
        Assert.Equal("response.failed", Types(events)[^1]);
        Assert.Equal("server_error", (string?)response["error"]!["code"]);
    }

    [Fact]
    public void A_whole_completion_gives_the_same_object_as_its_stream()
    {
        var assembler = new ResponseAssembler("resp_1", 5, []);
        assembler.Start();
        assembler.Add(Parse(
            """{"choices":[{"message":{"role":"assistant","reasoning":"hm","content":"Hello","""
            + """ "tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]},"""
            + """ "finish_reason":"tool_calls"}],"""
            + $$""" "usage":{{Counts}}}"""));
        assembler.End();
        var (_, streamed) = Run("""{"reasoning_content":"h"}""", """{"reasoning_content":"m"}""",
            """{"content":"Hello"}""",
            """{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}""");
        Assert.Equal(streamed.ToJsonString(), assembler.ToObject().ToJsonString());
        Assert.Equal(["reasoning", "message", "function_call"],
            streamed["output"]!.AsArray().Select(i => (string?)i!["type"]));
    }

    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"finish_reason":"length"}]}""", "incomplete", null)]
    [InlineData("""{"error":{"message":"no","code":"x"}}""", "failed", "x")]
    [InlineData("""{"error":"no"}""", "failed", "server_error")]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}]}""", "failed", "server_error")]
    [InlineData("""{"choices":7,"usage":"x"}""", "failed", "server_error")]
    [InlineData("""{"choices":[{"delta":{"content":7,"tool_calls":[3,{"index":"x","function":2}]}}]}""", "failed",
        "server_error")]
    public void The_last_event_says_how_it_ended(string chunk, string status, string? code)
    {
        var assembler = new ResponseAssembler("resp_1", 5, []);
        List<JsonObject> events = [.. assembler.Start(), .. assembler.Add(Parse(chunk)), .. assembler.End()];
        Assert.Equal("response." + status, Types(events)[^1]);
        Assert.Equal(status, (string?)events[^1]["response"]!["status"]);
        Assert.Equal(code, (string?)events[^1]["response"]!["error"]?["code"]);
        Assert.Empty(assembler.Add(Parse(chunk)));
        Assert.Empty(assembler.End());
    }

    [Fact]
    public void A_response_that_waits_is_queued_before_it_is_in_progress()
    {
        var assembler = new ResponseAssembler("resp_1", 5, []);
        List<JsonObject> events = [.. assembler.Queue(), .. assembler.Start(), .. assembler.Cancel()];
        Assert.Equal(
            ["response.created", "response.queued", "response.in_progress", "response.incomplete"], Types(events));
        Assert.Equal(["queued", "queued", "in_progress", "cancelled"],
            events.Select(e => (string?)e["response"]!["status"]));
        Assert.Equal([0, 1, 2, 3], events.Select(e => (int)e["sequence_number"]!));
    }

    [Fact]
    public void A_waiting_stream_repeats_that_it_is_in_progress()
    {
        var assembler = new ResponseAssembler("resp_1", 5, []);
        List<JsonObject> events = [.. assembler.KeepAlive(), .. assembler.KeepAlive(), .. assembler.Fail(null, "no")];
        Assert.Equal(["response.created", "response.in_progress", "response.in_progress", "response.failed"],
            Types(events));
        Assert.Equal([0, 1, 2, 3], events.Select(e => (int)e["sequence_number"]!));
        Assert.Empty(assembler.KeepAlive());
    }

    private static (List<JsonObject> Events, JsonObject Response) Run(params string[] deltas)
    {
        var assembler = new ResponseAssembler("resp_1", 5, []);
        List<JsonObject> events = [.. assembler.Start()];
        foreach (var delta in deltas)
            events.AddRange(assembler.Add(Parse($$"""{"choices":[{"index":0,"delta":{{delta}}}]}""")));
        events.AddRange(assembler.Add(Parse("""{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""")));
        events.AddRange(assembler.Add(Parse($$"""{"choices":[],"usage":{{Counts}}}""")));
        events.AddRange(assembler.End());
        return (events, assembler.ToObject());
    }

    private static JsonObject Parse(string json) => (JsonObject)JsonNode.Parse(json)!;

    private static List<string?> Types(IEnumerable<JsonObject> events) => [.. events.Select(e => (string?)e["type"])];
}
