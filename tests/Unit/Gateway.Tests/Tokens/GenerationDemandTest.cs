using System.Buffers;
using System.Text;
using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Tests.Tokens;

/// <summary>Tests the estimate of what a request may use.</summary>
public sealed class GenerationDemandTest
{
    [Theory]
    // 3 bytes of text are a token; a message has 4 more. "user" is text too.
    [InlineData("""{"model":"a","messages":[{"role":"user","content":"123456"}],"max_tokens":50}""", 4 + 4, 50, 1)]
    [InlineData("""{"max_tokens":50,"max_completion_tokens":20,"n":3,"prompt":"123"}""", 1, 20, 3)]
    [InlineData("""{"max_tokens":null,"prompt":""}""", 0, null, 1)]
    [InlineData("""{"prompt":[1,2,3],"max_tokens":7}""", 3, 7, 1)]
    [InlineData("""{"prompt":[[1,2],[3]],"n":0}""", 3, null, 1)]
    [InlineData("""{"input":["123456","123"]}""", 3, null, 1)]
    [InlineData("""{"text_input":"123","parameters":{"max_tokens":9}}""", 1, 9, 1)]
    [InlineData("""{"input":{"max_tokens":9},"max_output_tokens":5}""", 0, 5, 1)]
    [InlineData("""{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AAAA"}}]}]}""", 1004, null, 1)]
    [InlineData("""{"max_tokens":-1,"prompt":"abc"}""", 1, null, 1)]
    [InlineData("""{"prompt":"123456789""", 6, null, 1)]
    [InlineData("", 0, null, 1)]
    public void Prompt_and_maximum_are_read(string body, long prompt, int? maxTokens, long texts)
    {
        var read = GenerationDemand.Read(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes(body)));
        Assert.Equal(new GenerationDemand(prompt, maxTokens, texts), read with { Exact = 0 });
        Assert.Equal(body.StartsWith("""{"prompt":[""", StringComparison.Ordinal) ? prompt : 0, read.Exact);
    }

    [Theory]
    [InlineData(50, 2, 100)]
    [InlineData(null, 2, 32)]
    [InlineData(null, 1, 16)]
    public void A_text_without_a_declared_maximum_has_an_assumed_one(int? maxTokens, long texts, long generated) =>
        Assert.Equal(generated, new GenerationDemand(100, maxTokens, texts).Generated(16));

    [Fact]
    public void The_tokens_of_prompts_are_learned()
    {
        var prompts = new PromptEstimates();
        Assert.Equal(100, Expect("a", 100));
        prompts.Learn("a", 100, 150);
        Assert.Equal(150, Expect("a", 100));
        Assert.Equal(100, Expect("b", 100));
        prompts.Learn("a", 100, 50);
        Assert.Equal(148, Expect("a", 100));
        for (var i = 0; i < 1000; i++) prompts.Learn("a", 100, 50);
        Assert.Equal(51, Expect("a", 100));
        prompts.Learn("a", 1, 1000);
        Assert.Equal(1000, Expect("a", 100));
        // A list of tokens needs no estimate.
        Assert.Equal(100, prompts.Expect("a", new GenerationDemand(100, null, 1) { Exact = 100 }));

        long Expect(string endpoint, long bytes) => prompts.Expect(endpoint, new GenerationDemand(bytes, null, 1));
    }

    [Theory]
    [InlineData("POST", "/v1/chat/completions", false, 1024L)]
    [InlineData("POST", "/v1/chat/completions?x=1", false, 1024L)]
    [InlineData("POST", "/v1/completions", false, 16L)]
    [InlineData("POST", "/v1/embeddings", false, 0L)]
    [InlineData("GET", "/v1/completions", false, null)]
    [InlineData("POST", "/v1/models", false, null)]
    [InlineData("POST", "/v2/models/a/generate_stream", true, 64L)]
    [InlineData("POST", "/v2/models/a/generate", false, null)]
    [InlineData("POST", "/run", true, 64L)]
    [InlineData("POST", "/run", false, null)]
    public void Paths_that_use_tokens_are_known(string method, string target, bool isBuiltIn, long? assumed) =>
        Assert.Equal(assumed, TextRoutes.AssumedTokens(method, target, isBuiltIn));
}
