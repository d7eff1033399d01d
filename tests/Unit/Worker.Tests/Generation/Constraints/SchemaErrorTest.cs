using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Tests schemas that cannot be served, and schemas that want too much.</summary>
public sealed class SchemaErrorTest
{
    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","pattern":"x"}}}""",
        "schema/properties/a/pattern: the keyword 'pattern' is not supported")]
    [InlineData(
        """{"type":"array","items":{"oneOf":[{}]}}""", "schema/items/oneOf: the keyword 'oneOf' is not supported")]
    [InlineData("""{"type":"object","patternProperties":{}}""", "schema/patternProperties: the keyword")]
    [InlineData("""{"type":"number","multipleOf":2}""", "schema/multipleOf: the keyword")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "schema/uniqueItems: the keyword")]
    [InlineData("""{"anyOf":[{"type":"string"},{"not":{}}]}""", "schema/anyOf/1/not: the keyword")]
    [InlineData("""{"anyOf":[{}],"minLength":1}""", "schema/minLength: the keyword")]
    [InlineData("""{"$ref":"#/$defs/a","$defs":{"a":{"type":"string","if":{}}}}""", "schema/$defs/a/if: the keyword")]
    [InlineData("""{"$ref":"#/$defs/b"}""", "schema/$ref is '#/$defs/b'; expected '#' or the path")]
    [InlineData("""{"$ref":"https://example.org/x"}""", "schema/$ref is 'https://example.org/x'; expected")]
    [InlineData("""{"$ref":5}""", "schema/$ref is not valid; expected a string")]
    [InlineData("""{"$ref":"#"}""", "No value, or none of less than 10 MB")]
    [InlineData("""{"anyOf":[{"$ref":"#"},{"type":"null"}]}""", "leads back to itself")]
    [InlineData("""{"properties":{"a":{"$ref":"#"}},"required":["a"]}""", "No value, or none of less than 10 MB")]
    [InlineData("""{"type":"list"}""", "schema/type is not valid; expected object, array")]
    [InlineData("""{"type":["string",1]}""", "schema/type is not valid")]
    [InlineData("""{"type":"any"}""", "schema/type is not valid")]
    [InlineData("""{"enum":[]}""", "schema/enum is not valid; expected a list of values")]
    [InlineData("""{"type":"string","enum":[1]}""", "schema/enum is not valid; expected a value of the type")]
    [InlineData("""{"type":"string","minLength":-1}""", "schema/minLength is not valid; expected an integer from 0")]
    [InlineData(
        """{"type":"string","minLength":3,"maxLength":2}""", "schema/maxLength is not valid; expected at least")]
    [InlineData("""{"type":"array","minItems":2,"maxItems":1}""", "schema/maxItems is not valid; expected at least")]
    [InlineData("""{"type":"integer","minimum":2,"maximum":1}""", "schema/minimum is not valid; expected bounds with")]
    [InlineData("""{"type":"number","exclusiveMinimum":1,"maximum":1}""", "expected bounds with a number between them")]
    [InlineData("""{"type":"number","minimum":0.5}""", "schema/minimum is not valid; expected an integer")]
    [InlineData("""{"type":"object","additionalProperties":false,"required":["x"]}""",
        "schema/required is not valid; expected only names of properties, not 'x'")]
    [InlineData("""{"type":"object","properties":[]}""", "schema/properties is not valid; expected an object")]
    [InlineData("""{"type":"object","properties":{"x":1}}""", "schema/properties/x is not valid; expected an object")]
    [InlineData("false", "schema is false")]
    [InlineData("5", "schema is not valid; expected an object with a JSON schema")]
    [InlineData("""{"const":"\ud800"}""", "schema contains a string that is not valid Unicode")]
    [InlineData("""{"properties":{"\ud800":{}}}""", "schema contains a string that is not valid Unicode")]
    public void What_is_not_supported_is_named_with_its_path(string schema, string expected)
    {
        var error = Assert.Throws<ConstraintException>(() => Compile(schema));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_schema_that_needs_too_much_is_rejected()
    {
        var many = Enumerable.Range(0, 30_000).Select(i => $"\"value number {i} {i * 7919 % 100_000}\"");
        Rejected($$"""{"enum":[{{string.Join(',', many)}}]}""");
        Rejected($$"""{"enum":["{{new string('x', StructuredOutput.MaxSchemaLength)}}"]}""");
        Rejected("""{"type":"array","minItems":10000,"items":{"type":"array","minItems":10000,"items":{"type":"null"}}}""");
        var optional = string.Join(',', Enumerable.Range(0, 3000).Select(i => $"\"p{i}\":true"));
        Rejected("{\"properties\":{" + optional + "}}");
        Rejected(Chain("""{"$ref":"#/$defs/d{0}"}""", 1000));
        // Each level needs two values of the next one: 2^40 of them.
        Rejected(Chain(
            """{"properties":{"a":{"$ref":"#/$defs/d{0}"},"b":{"$ref":"#/$defs/d{0}"}},"required":["a","b"]}""", 40));
        Rejected(Chain("""{"type":"array","minItems":1,"items":{"$ref":"#/$defs/d{0}"}}""", 60));

        static void Rejected(string schema) => Assert.Throws<ConstraintException>(() => Compile(schema));
    }

    [Fact]
    public void A_schema_with_exponentially_many_ways_is_read_in_bounded_time()
    {
        foreach (var level in (string[])
                 [
                     """{"anyOf":[{"$ref":"#/$defs/d{0}"},{"$ref":"#/$defs/d{0}"}]}""",
                     """{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/d{0}"},{"$ref":"#/$defs/d{0}"}]}}""",
                     """{"properties":{"a":{"anyOf":[{"$ref":"#/$defs/d{0}"},{"$ref":"#/$defs/d{0}"},{"type":"null"}]}}}""",
                 ])
        {
            var constraint = Compile(Chain(level, 40));
            var model = new RandomModel(BytesTokenizer.Small, new Random(1));
            var (text, hasEnded) = model.Generate(constraint.CreateProcessor(2000), 2000);
            Assert.True(hasEnded, text);
            JsonElement.Parse(text);
        }
    }

    [Fact]
    public void Random_and_mutated_schemas_throw_no_other_exception()
    {
        var random = new Random(11);
        var generator = new RandomSchemas(11);
        var compiled = 0;
        for (var i = 0; i < RandomCases.Count(3000); i++)
        {
            var text = new StringBuilder(generator.Next().ToJsonString());
            for (var j = random.Next(4); j > 0; j--)
            {
                var at = random.Next(text.Length);
                if (random.Next(2) == 0) text[at] = "{}[]\",:0a1$#/\\"[random.Next(14)];
                else text.Remove(at, Math.Min(random.Next(1, 12), text.Length - at));
            }

            JsonElement schema;
            try
            {
                schema = JsonElement.Parse(text.ToString());
            }
            catch (JsonException)
            {
                continue;
            }

            var error = Record.Exception(() => Compile(schema.GetRawText()));
            Assert.True(error is null or ConstraintException, $"{text}\n{error}");
            if (error is null) compiled++;
        }

        Assert.InRange(compiled, RandomCases.Count(300), RandomCases.Count(2990));
    }

    private static string Chain(string level, int length)
    {
        var definitions = new JsonObject();
        for (var i = 0; i < length; i++)
            definitions[$"d{i}"] = JsonNode.Parse(level.Replace("{0}", $"{i + 1}", StringComparison.Ordinal));
        definitions[$"d{length}"] = new JsonObject { ["type"] = "null" };
        return new JsonObject { ["$ref"] = "#/$defs/d0", ["$defs"] = definitions }.ToJsonString();
    }

    private static OutputConstraint Compile(string schema) =>
        Output.CompileSchema(JsonElement.Parse(schema), "schema");

    private static readonly StructuredOutput Output = new(BytesTokenizer.Small);
}
