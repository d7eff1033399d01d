using System.Text.Json;
using Sluice.Worker.Generation.Chat.ToolCalls;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Constraints.Tools;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Tests that a required call is generated in each format, and that the parser reads it.</summary>
public sealed class ToolConstraintTest
{
    private const string Tools = """
        [{"type":"function","function":{"name":"weather","strict":true,"parameters":{"type":"object",
          "properties":{"city":{"enum":["Paris","Rome"]},"days":{"type":"integer","minimum":1,"maximum":9}},
          "required":["city","days"],"additionalProperties":false}}},
         {"type":"function","function":{"name":"now"}},
         {"type":"function","function":{"name":"find","parameters":{"type":"object","properties":{
          "q":{"type":"string","pattern":"^x"}}}}}]
        """;

    private static readonly BytesTokenizer WithTokens = BytesTokenizer.WithSpecials(
        "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>",
        "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|start|>");

    [Theory]
    [InlineData(ToolCallFormat.Hermes)]
    [InlineData(ToolCallFormat.Llama)]
    [InlineData(ToolCallFormat.Gemma)]
    [InlineData(ToolCallFormat.DeepSeek)]
    [InlineData(ToolCallFormat.Harmony)]
    public void A_required_call_is_generated_and_read(ToolCallFormat format)
    {
        var tools = ToolDefinition.ReadAll(JsonElement.Parse(Tools));
        foreach (var tokenizer in (BytesTokenizer[])[WithTokens, BytesTokenizer.Small])
        {
            var output = new StructuredOutput(tokenizer);
            var model = new RandomModel(tokenizer, new Random(9));
            var names = new HashSet<string>();
            for (var i = 0; i < 60; i++)
            {
                var constraint = output.CompileToolCalls(format, tools, i % 2 == 0, allowsReasoning: i % 3 == 0);
                var (text, hasEnded) = model.Generate(constraint.CreateProcessor(700), 700);
                Assert.True(hasEnded, text);
                var calls = Parse(format, text);
                Assert.NotEmpty(calls);
                foreach (var (name, arguments) in calls) Check(name, JsonElement.Parse(arguments));
                names.UnionWith(calls.Select(c => c.Name));
            }

            Assert.Equal(["find", "now", "weather"], names.Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void A_named_tool_is_the_only_one_that_is_called()
    {
        var tools = ToolDefinition.ReadAll(JsonElement.Parse(Tools)).Where(t => t.Name == "now").ToList();
        var constraint = new StructuredOutput(BytesTokenizer.Small)
            .CompileToolCalls(ToolCallFormat.Hermes, tools, allowsSeveral: false, allowsReasoning: false);
        var model = new RandomModel(BytesTokenizer.Small, new Random(1));
        for (var i = 0; i < 20; i++)
        {
            var (text, _) = model.Generate(constraint.CreateProcessor(300), 300);
            Assert.Equal("now", Assert.Single(Parse(ToolCallFormat.Hermes, text)).Name);
        }
    }

    [Theory]
    [InlineData("{}", "tools is not valid; expected a list")]
    [InlineData("[{}]", "tools[0].function is not valid")]
    [InlineData("""[{"function":{"name":"a b"}}]""", "tools[0].function.name is not valid")]
    [InlineData("""[{"function":{"name":"\ud800"}}]""", "tools[0].function.name is not valid")]
    [InlineData("""[{"function":{"name":"a"}},{"function":{"name":"a"}}]""", "several tools with the name 'a'")]
    [InlineData("[]", "tool_choice needs a tool")]
    [InlineData("""[{"function":{"name":"a","strict":true,"parameters":{"oneOf":[]}}}]""",
        "tools[0].function.parameters/oneOf: the keyword 'oneOf' is not supported")]
    public void A_tool_that_is_not_valid_is_named(string tools, string expected)
    {
        var error = Assert.Throws<ConstraintException>(() =>
            new StructuredOutput(BytesTokenizer.Small).CompileToolCalls(
            ToolCallFormat.Hermes, ToolDefinition.ReadAll(JsonElement.Parse(tools)), true, false));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    private static void Check(string name, JsonElement arguments)
    {
        Assert.Equal(JsonValueKind.Object, arguments.ValueKind);
        if (name != "weather") return;
        Assert.Contains(arguments.GetProperty("city").GetString(), (string[])["Paris", "Rome"]);
        Assert.InRange(arguments.GetProperty("days").GetInt32(), 1, 9);
        Assert.Equal(2, arguments.EnumerateObject().Count());
    }

    private static List<(string Name, string Arguments)> Parse(ToolCallFormat format, string text)
    {
        var parser = ToolCallFormats.CreateParser(format, () => "id");
        var calls = new List<(string Name, string Arguments)>();
        foreach (var delta in (OutputDelta[])[.. parser.Append(text), .. parser.Complete()])
            if (delta.Kind == OutputDeltaKind.CallStart) calls.Add((delta.Name!, ""));
            else if (delta.Kind == OutputDeltaKind.CallArguments)
                calls[delta.Index] = (calls[delta.Index].Name, calls[delta.Index].Arguments + delta.Text);
        return calls;
    }
}
