using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Tests.Generation.Chat;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Tests that constrained output satisfies its schema, also when few tokens are left.</summary>
public sealed class StructuredOutputTest
{
    [Fact]
    public Task Random_models_satisfy_random_schemas_with_bytes() =>
        CheckRandomAsync(BytesTokenizer.Small, RandomCases.Count(250), maxTokens: 2500);

    [Fact]
    public Task Random_models_satisfy_random_schemas_with_the_vocabulary_of_Llama() =>
        CheckRandomAsync(BytesTokenizer.RequireLlama(), RandomCases.Count(25), maxTokens: 600);

    /// <summary>For loadtests/results: more schemas than a test run has time for.</summary>
    [Fact(Explicit = true)]
    public Task Random_models_satisfy_1000_random_schemas_with_bytes() =>
        CheckRandomAsync(BytesTokenizer.Small, schemas: 1000, maxTokens: 2500);

    [Fact(Explicit = true)]
    public Task Random_models_satisfy_1000_random_schemas_with_the_vocabulary_of_Llama() =>
        CheckRandomAsync(BytesTokenizer.RequireLlama(), schemas: 1000, maxTokens: 600);

    [Fact]
    public void Any_object_parses()
    {
        const int maxTokens = 300;
        var constraint = new StructuredOutput(BytesTokenizer.Small).CompileJsonObject();
        var model = new RandomModel(BytesTokenizer.Small, new Random(3));
        for (var i = 0; i < RandomCases.Count(300); i++)
        {
            var (text, hasEnded) = model.Generate(constraint.CreateProcessor(maxTokens), maxTokens);
            Assert.True(hasEnded, text);
            using var document = JsonDocument.Parse(text);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
        }
    }

    private static async Task CheckRandomAsync(ITokenizer tokenizer, int schemas, int maxTokens)
    {
        ReferenceTemplates.Require();
        var random = new RandomSchemas(20261129);
        var output = new StructuredOutput(tokenizer);
        var model = new RandomModel(tokenizer, new Random(20261129));
        var cases = new JsonArray();
        for (var i = 0; i < schemas; i++)
        {
            var schema = random.Next();
            var constraint = output.CompileSchema(JsonSerializer.SerializeToElement(schema), "schema");
            var (text, hasEnded) = model.Generate(constraint.CreateProcessor(maxTokens), maxTokens);
            Assert.True(hasEnded, $"{i}: {schema.ToJsonString()}: {text}");
            cases.Add(new JsonObject { ["schema"] = schema, ["text"] = text });
        }

        Assert.Equal("", await ReferenceTemplates.RunNodeAsync("validate.mjs", cases));
    }
}
