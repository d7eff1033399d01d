using Sluice.Testing;
using Sluice.Worker.Generation.Chat.ToolCalls;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>
/// Tests that answers with calls of tools are separated in the same way, however the text is cut into pieces.
/// </summary>
public sealed class ToolCallParserTest
{
    private const string Weather = """f(weather|{"city": "Paris", "n": [1, {"x": "}\"]"}]})""";

    [Theory]
    [InlineData(ToolCallFormat.Hermes, "Just <b>text</b> < 5.", "t(Just <b>text</b> < 5.)")]
    [InlineData(ToolCallFormat.Hermes,
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\", \"n\": [1, {\"x\": \"}\\\"]\"}]}}\n</tool_call>",
        Weather)]
    [InlineData(ToolCallFormat.Hermes,
        "Hi.<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n<tool_call>\n{\"arguments\": {\"b\":1} , \"name\":\"b\"}\n</tool_call>\n\nBye now.",
        "t(Hi.)f(a|{})f(b|{\"b\":1})t(Bye now.)")]
    [InlineData(ToolCallFormat.Hermes, "<tool_call>{\"name\":\"a\"}</tool_call>", "f(a|{})")]
    [InlineData(ToolCallFormat.Hermes, "<tool_call>not json</tool_call> x", "t(<tool_call>not json</tool_call> x)")]
    [InlineData(ToolCallFormat.Hermes, "<tool_call>{\"x\":1}</tool_call>", "t(<tool_call>{\"x\":1}</tool_call>)")]
    [InlineData(ToolCallFormat.Hermes, "<tool_call>{\"na", "t(<tool_call>{\"na)")]
    [InlineData(ToolCallFormat.Hermes, "<tool_call>{\"name\":\"a\",\"arguments\":{\"b\":", "f(a|{\"b\":)")]
    [InlineData(ToolCallFormat.Hermes, "a <tool_", "t(a <tool_)")]
    [InlineData(ToolCallFormat.Llama, "Hello { world }.", "t(Hello { world }.)")]
    [InlineData(ToolCallFormat.Llama, "{\"name\": \"a\", \"parameters\": {\"x\": 1}}", "f(a|{\"x\": 1})")]
    [InlineData(ToolCallFormat.Llama,
        "<|python_tag|>{\"name\": \"a\", \"parameters\": {\"x\": 1}}; {\"name\": \"b\", \"parameters\": {}}",
        "f(a|{\"x\": 1})f(b|{})")]
    [InlineData(ToolCallFormat.Llama, "{\"answer\": 42}", "t({\"answer\": 42})")]
    [InlineData(ToolCallFormat.Gemma, "```json\n{\"name\": \"a\", \"parameters\": {\"x\": \"y\"}}\n```", "f(a|{\"x\": \"y\"})")]
    [InlineData(ToolCallFormat.Gemma, "```tool_code\n{\"name\": \"a\", \"arguments\": {}}\n```\n", "f(a|{})")]
    [InlineData(ToolCallFormat.Gemma, "```python\nprint(1)\n```", "t(```python\nprint(1)\n```)")]
    [InlineData(ToolCallFormat.Gemma, "Sure: ```json\n{}\n```", "t(Sure: ```json\n{}\n```)")]
    [InlineData(ToolCallFormat.DeepSeek, "Text only", "t(Text only)")]
    [InlineData(ToolCallFormat.DeepSeek,
        "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>a\n```json\n{\"x\": \"```\"}\n```<｜tool▁call▁end｜>\n" +
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>b\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "t(Hm.)f(a|{\"x\": \"```\"})f(b|{})")]
    [InlineData(ToolCallFormat.Harmony,
        "<|channel|>analysis<|message|>Let me think.<|end|><|start|>assistant<|channel|>commentary to=functions.a <|constrain|>json" +
        "<|message|>{\"x\":1}<|call|>",
        "r(Let me think.)f(a|{\"x\":1})")]
    [InlineData(ToolCallFormat.Harmony,
        "<|start|>assistant to=functions.b<|channel|>commentary json<|message|>{}", "f(b|{})")]
    [InlineData(ToolCallFormat.Harmony,
        "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>Hello <there>", "r(x)t(Hello <there>)")]
    [InlineData(ToolCallFormat.Harmony, "plain", "t(plain)")]
    public void An_answer_is_separated_into_text_and_calls(ToolCallFormat format, string answer, string expected)
    {
        Assert.Equal(expected, Parse(format, [answer]));
        Assert.Equal(expected, Parse(format, answer.Select(c => c.ToString())));
        for (var cut = 1; cut < answer.Length; cut++)
            Assert.Equal(expected, Parse(format, [answer[..cut], answer[cut..]]));
    }

    [Theory]
    [InlineData("... <tool_call> ...", "", ToolCallFormat.Hermes)]
    [InlineData("", "<|python_tag|>", ToolCallFormat.Llama)]
    [InlineData("{{ '<start_of_turn>' }}", "", ToolCallFormat.Gemma)]
    [InlineData("'<|start|>' '<|channel|>'", "", ToolCallFormat.Harmony)]
    [InlineData("", "<｜tool▁calls▁begin｜>", ToolCallFormat.DeepSeek)]
    [InlineData("", "", ToolCallFormat.Hermes)]
    public void The_format_is_that_of_the_template_or_the_tokens(
        string template, string token, ToolCallFormat expected) =>
        Assert.Equal(expected, ToolCallFormats.Detect(template, [token]));

    [Fact]
    public void Random_answers_lose_no_text_and_throw_nothing()
    {
        string[] pieces =
        [
            "<tool_call>", "</tool_call>", "{\"name\":", "\"a\"", "\"arguments\"", ":", "{", "}", ",",
            "```json\n", "```", ";", "<|channel|>", "<|message|>", "<|end|>", "to=functions.", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>",
            "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "\n", "x", "\\", "\"", "<", "<|python_tag|>",
        ];
        var random = new Random(1);
        for (var i = 0; i < RandomCases.Count(20_000); i++)
        {
            var format = Enum.GetValues<ToolCallFormat>()[i % 5];
            var answer = Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)]).ToList();
            Assert.Equal(Parse(format, answer), Parse(format, [string.Concat(answer)]));
        }
    }

    // Joins the pieces of each text and of each call, and checks the rules of streams: an id and a name once for a
    // call, indices without gaps.
    private static string Parse(ToolCallFormat format, IEnumerable<string> pieces)
    {
        var ids = 0;
        var parser = ToolCallFormats.CreateParser(format, () => $"call_{ids++}");
        var deltas = pieces.SelectMany(parser.Append).ToList();
        deltas.AddRange(parser.Complete());
        var (result, open, index) = ("", "", -1);
        foreach (var delta in deltas)
        {
            var kind = delta.Kind switch
            {
                OutputDeltaKind.Text => "t",
                OutputDeltaKind.Reasoning => "r",
                _ => "f",
            };
            if (delta.Kind == OutputDeltaKind.CallStart)
            {
                Assert.Equal((++index, $"call_{index}"), (delta.Index, delta.Id));
                result += (open.Length > 0 ? ")" : "") + $"f({delta.Name}|";
                open = "f";
                continue;
            }

            Assert.True(delta.Text.Length > 0 && delta.Id is null && delta.Name is null);
            Assert.Equal(kind == "f" ? index : -1, delta.Index);
            if (open != kind) result += (open.Length > 0 ? ")" : "") + $"{kind}(";
            open = kind;
            result += delta.Text;
        }

        return result + (open.Length > 0 ? ")" : "");
    }
}
