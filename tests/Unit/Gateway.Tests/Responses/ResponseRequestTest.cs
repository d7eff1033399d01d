using System.Text.Json.Nodes;
using Sluice.Gateway.Responses;

namespace Sluice.Gateway.Tests.Responses;

/// <summary>Tests the translation of requests, and the errors that name a field.</summary>
public sealed class ResponseRequestTest
{
    [Fact]
    public void Items_become_messages()
    {
        var request = Read("""
            {"model":"m","instructions":"Be brief.","max_output_tokens":9,"temperature":0,"input":[
            {"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
            {"type":"reasoning","summary":[]},
            {"role":"assistant","content":"Wait."},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call","call_id":"c2","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"1"},
            {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]}],
            "text":{"format":{"type":"json_schema","name":"n","schema":{},"strict":true}},
            "reasoning":{"effort":"low"},
            "tools":[{"type":"function","name":"f","description":"d","parameters":{},"strict":null}],
            "tool_choice":{"type":"function","name":"f"},"metadata":{"a":"b"},"include":["reasoning.encrypted_content"]}
            """);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""
            {"model":"m","messages":[
            {"role":"system","content":"Be brief."},
            {"role":"user","content":"ab"},
            {"role":"assistant","content":"Wait.","tool_calls":[
              {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
              {"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"1"},
            {"role":"tool","tool_call_id":"c2","content":"2"}],
            "temperature":0,"max_completion_tokens":9,"reasoning_effort":"low",
            "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{}}}],
            "tool_choice":{"type":"function","function":{"name":"f"}},
            "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"strict":true}}}
            """), request.ToChat([])), request.ToChat([]).ToJsonString());
        Assert.Equal("b", (string?)request.Echo()["metadata"]!["a"]);
    }

    [Fact]
    public void A_stream_asks_for_usage_and_a_conversation_comes_first()
    {
        var earlier = Read("""{"model":"m","input":"one"}""").Input;
        var chat = Read("""{"model":"m","input":"two","stream":true,"tools":[],"tool_choice":"auto"}""")
            .ToChat(earlier.Select(i => i!));
        Assert.Equal(["one", "two"], chat["messages"]!.AsArray().Select(m => (string?)m!["content"]));
        Assert.True((bool)chat["stream_options"]!["include_usage"]!);
        Assert.Null(chat["tools"]);
        Assert.Null(chat["tool_choice"]);
    }

    [Fact]
    public void Stored_items_have_ids_and_parts()
    {
        var items = Read(
            """{"model":"m","input":[{"role":"user","content":"a"},{"id":"x","type":"reasoning"}]}""").Input;
        ResponseItems.AddIds(items, "resp_12");
        Assert.Equal(["msg_12_in0", "x"], items.Select(i => (string?)i!["id"]));
        Assert.Equal("""[{"type":"input_text","text":"a"}]""", items[0]!["content"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"model":"m","input":"a","tools":[{"type":"web_search"}]}""", "tools[0].type")]
    [InlineData("""{"model":"m","input":"a","tools":[{"type":"function"}]}""", "tools[0].name")]
    [InlineData("""{"model":"m","input":"a","tools":{}}""", "tools")]
    [InlineData("""{"model":"m","input":"a","tool_choice":{"type":"mcp"}}""", "tool_choice")]
    [InlineData("""{"model":"m","input":"a","conversation":"c"}""", "conversation")]
    [InlineData("""{"model":"m","input":"a","truncation":"auto"}""", "truncation")]
    [InlineData("""{"model":"m","input":"a","include":["message.output_text.logprobs"]}""", "include")]
    [InlineData("""{"model":"m","input":"a","text":{"format":{"type":"x"}}}""", "text.format.type")]
    [InlineData("""{"model":"m","input":"a","metadata":{"a":1}}""", "metadata")]
    [InlineData("""{"model":"m","input":"a","background":true,"store":false}""", "store")]
    [InlineData("""{"model":"m","input":[{"role":"x","content":"a"}]}""", "input[0].role")]
    [InlineData("""{"model":"m","input":[{"type":"computer_call"}]}""", "input[0].type")]
    [InlineData("""{"model":"m","input":[{"type":"function_call","call_id":"c"}]}""", "input[0].name")]
    [InlineData("""{"model":"m","input":[]}""", "input")]
    [InlineData("""{"model":"m"}""", "input")]
    [InlineData("""{"input":"a"}""", "model")]
    [InlineData("""{"model":"m","input":"a","store":1}""", "store")]
    [InlineData("""{"model":"m","input":"a","instructions":[]}""", "instructions")]
    public void What_cannot_be_served_is_an_error(string json, string param)
    {
        var fault = Assert.Throws<ResponseFaultException>(() => Read(json).ToChat([]));
        Assert.Equal(param, fault.Param);
        Assert.Contains($"'{param}' is ", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_image_is_refused_with_its_place()
    {
        var fault = Assert.Throws<ResponseFaultException>(() => Read("""
            {"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"},
            {"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}
            """));
        Assert.Equal("input[0].content[1]", fault.Param);
        Assert.Contains("images", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Errors_of_workers_name_the_fields_of_responses()
    {
        Assert.Equal("""{"error":{"message":"x","param":"text.format.json_schema.schema"}}""", Translate(
            """{"error":{"message":"x","param":"response_format.json_schema.schema"}}"""));
        Assert.Equal("""{"error":{"message":"x","param":"temperature"}}""", Translate(
            """{"error":{"message":"x","param":"temperature"}}"""));
        Assert.Equal("no JSON", Translate("no JSON"));

        static string Translate(string body) =>
            System.Text.Encoding.UTF8.GetString(ResponseErrors.Translate(System.Text.Encoding.UTF8.GetBytes(body)));
    }

    private static ResponseRequest Read(string json) => new((JsonObject)JsonNode.Parse(json)!);
}
