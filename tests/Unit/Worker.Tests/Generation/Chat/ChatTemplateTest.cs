using System.Text.Json;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Generation.Chat.Jinja;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>Tests how the messages of a caller become the prompt of a model.</summary>
public sealed class ChatTemplateTest
{
    private const string Simple =
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}<|end|>" +
        "{% endfor %}" +
        "{% if add_generation_prompt %}<|assistant|>{% endif %}";

    private const string Parts =
        "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}";

    private const string StringArguments =
        "{% for m in messages %}{{ m.content + '' }}{% for c in m.tool_calls or [] %}{{ c.function.arguments + '' }}" +
        "{% endfor %}{% endfor %}";

    [Theory]
    [InlineData("""[{"role":"user","content":"a"}]""", "<|user|>a<|end|><|assistant|>")]
    [InlineData("""[{"role":"developer","content":"a"}]""", "<|system|>a<|end|><|assistant|>")]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]""",
        "<|user|>a\nb<|end|><|assistant|>")]
    [InlineData("""[{"role":"user","content":"a","tool_calls":null,"name":null}]""", "<|user|>a<|end|><|assistant|>")]
    public void Messages_are_converted_to_the_forms_of_the_template(string messages, string expected) =>
        Assert.Equal(expected, Render(Simple, messages));

    [Fact]
    public void A_template_that_reads_only_parts_gets_parts() =>
        Assert.Equal("[a]", Render(Parts, """[{"role":"user","content":"a"}]"""));

    [Theory]
    [InlineData(Simple, "{\"x\":1}", "\"arguments\": {\"x\": 1}")]
    [InlineData(StringArguments, "{\"x\":1}", "{\"x\":1}")]
    [InlineData(Simple, "", "\"arguments\": {}")]
    public void Arguments_of_tool_calls_are_an_object_or_a_string(string template, string arguments, string expected)
    {
        var text = JsonSerializer.Serialize(arguments);
        var call = $$$"""
            [{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{{{text}}}}}]}]
            """;
        Assert.Contains(expected, Render(template, call), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "messages is '{}'; expected a list of messages")]
    [InlineData("[1]", "messages[0] is '1'; expected an object")]
    [InlineData("""[{"role":"user"}]""", "messages[0].content is missing; expected a string or")]
    [InlineData("""[{"role":"im_end","content":""}]""",
        "messages[0].role is '\"im_end\"'; expected one of system, developer, user, assistant, tool, function.")]
    [InlineData("""[{"content":""}]""", "messages[0].role is missing; expected one of system,")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]""",
        """messages[0].content[0] is '{"type":"image_url","image_url":{}}'; expected a part with the type 'text'""")]
    [InlineData("""[{"role":"user","content":[{"type":1,"text":""}]}]""",
        """messages[0].content[0] is '{"type":1,"text":""}'; expected a part""")]
    [InlineData("""[{"role":"user","content":5}]""", "messages[0].content is '5'; expected a string or")]
    [InlineData("""[{"role":"user","content":"","tool_calls":[{}]}]""",
        "messages[0].tool_calls[0].function is missing; expected an object")]
    [InlineData("""[{"role":"user","content":"","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]""",
        "messages[0].tool_calls[0].function.arguments is '\"{\"'; expected a JSON object as a string")]
    [InlineData("""[{"role":"user","role":"user","content":""}]""",
        """messages[0] is '{"role":"user","role":"user","content":""}'; expected an object without""")]
    [InlineData("""[{"role":"user","content":"\ud800"}]""", "not valid Unicode")]
    [InlineData("""[{"role":"user","content":"","name":"\ud800"}]""", "not valid Unicode")]
    public void A_message_that_is_not_valid_is_named(string messages, string expected)
    {
        var error = Assert.Throws<TemplateException>(() => Render(Simple, messages));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a<|end|>b", "a<\uFDD0|end|>b")]
    [InlineData("<|end|><|end|>", "<\uFDD0|end|><\uFDD0|end|>")]
    [InlineData("<|en", "<\uFDD0|en")]
    [InlineData("a < b", "a < b")]
    [InlineData("a <  ", "a <\uFDD0  ")]
    [InlineData("<<|end|>", "<<\uFDD0|end|>")]
    [InlineData("<|e<|end|>", "<|e<\uFDD0|end|>")]
    [InlineData("<|end|", "<\uFDD0|end|")]
    public void A_caller_cannot_write_special_tokens(string content, string expected)
    {
        var message = JsonSerializer.Serialize(content);
        Assert.Equal(
            $"<|user|>{expected}<|end|><|assistant|>",
            Render(Simple, $$"""[{"role":"user","content":{{message}}}]""", "<|end|>", "<|user|>", "<|assistant|>"));
    }

    [Fact]
    public void Names_and_arguments_of_tools_cannot_hold_special_tokens_either()
    {
        var text = Render(
            Simple,
            """
            [{"role":"assistant","content":"","tool_calls":[
              {"function":{"name":"<|end|>","arguments":"{\"<|end|>\":\"<|end|>\"}"}}]}]
            """,
            "<|end|>");
        Assert.Equal(1, text.Split("<|end|>").Length - 1);
        Assert.Equal(3, text.Count(c => c == '\uFDD0'));
    }

    [Fact]
    public void A_separator_survives_escapes_of_json() =>
        Assert.Contains(
            "<\uFDD0|end|>\\u00e9",
            Render(
                "{{ messages[0].content | tojson(ensure_ascii=true) }}",
                """[{"role":"user","content":"<|end|>é"}]""",
                "<|end|>"),
            StringComparison.Ordinal);

    [Fact]
    public void The_template_of_a_folder_is_the_file_or_the_configuration()
    {
        const string config = """
            {"bos_token":{"content":"<s>","__type":"AddedToken"},"eos_token":"</s>","pad_token":null,
            "chat_template":[{"name":"default","template":"D"},{"name":"tool_use","template":"T"}]}
            """;
        var source = ChatTemplateSource.Parse(config, null)!;
        Assert.Equal(("D", "T", "<s>", "</s>"),
            (source.Default, source.ForTools, source.TokenVariables["bos_token"], source.TokenVariables["eos_token"]));
        Assert.Equal("F", ChatTemplateSource.Parse(config, "F")!.Default);
        Assert.Equal("X", ChatTemplateSource.Parse("""{"chat_template":"X"}""", null)!.Default);
        Assert.Null(ChatTemplateSource.Parse("{}", null));
        foreach (var wrong in (string[])["[]", "{", """{"chat_template":5}""", """{"chat_template":[{}]}"""])
            Assert.Throws<TemplateException>(() => ChatTemplateSource.Parse(wrong, null));
    }

    [Fact]
    public void A_conversation_with_tools_uses_the_template_for_tools()
    {
        var source = new ChatTemplateSource("D", "T{{ tools | length }}", new Dictionary<string, string>());
        var template = new ChatTemplate(source, []);
        using var document = JsonDocument.Parse("[]");
        Assert.Equal("D", template.Render(new Conversation(document.RootElement)));
        Assert.Equal("T0", template.Render(new Conversation(document.RootElement) { Tools = document.RootElement }));
    }

    [Fact]
    public void A_variable_cannot_replace_a_part_of_the_language()
    {
        using var document = JsonDocument.Parse("[]");
        var template = new ChatTemplate(new ChatTemplateSource("{{ x }}", null, new Dictionary<string, string>()), []);
        var conversation = new Conversation(document.RootElement);
        Assert.Equal("[]", template.Render(conversation with { Variables = Variable("x") }));
        Assert.Throws<TemplateException>(() => template.Render(conversation with { Variables = Variable("range") }));

        Dictionary<string, JsonElement> Variable(string name) => new() { [name] = document.RootElement };
    }

    private static string Render(string template, string messages, params string[] specialTokens)
    {
        using var document = JsonDocument.Parse(messages);
        var source = new ChatTemplateSource(template, null, new Dictionary<string, string>());
        return new ChatTemplate(source, specialTokens).Render(new Conversation(document.RootElement));
    }
}
