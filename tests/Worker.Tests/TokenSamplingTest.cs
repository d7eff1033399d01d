using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Tests;

/// <summary>Tests processors of logits, and the byte tokenizer.</summary>
public sealed class TokenSamplingTest
{
    private const int End = 0;

    /// <summary>The end of the text is the most likely token, then token 2.</summary>
    private static readonly float[] Logits = [5, 1, 3];

    [Fact]
    public void The_end_of_the_text_is_not_sampled_before_min_tokens()
    {
        var sampling = new TokenSampling(Request(minTokens: 2), new ByteTokenizer(End));
        Assert.Equal([2, 2, End, End], Enumerable.Range(0, 4).Select(_ => sampling.Next(Logits).Token));
        Assert.Equal([5, 1, 3], Logits);
    }

    [Fact]
    public void Details_have_the_probability_that_the_model_computed()
    {
        var sum = Logits.Sum(l => Math.Exp(l));
        var detail = new TokenSampling(Request(minTokens: 1), new ByteTokenizer(End)).Next(Logits).Detail!;
        Assert.Equal((2, "\u0002", false), (detail.Id, detail.Text, detail.Special));
        Assert.Equal(Math.Log(Math.Exp(3) / sum), detail.Logprob, 5);
        var end = new TokenSampling(Request(minTokens: 0), new ByteTokenizer(End)).Next(Logits).Detail!;
        Assert.Equal((End, "", true), (end.Id, end.Text, end.Special));
    }

    [Theory]
    [InlineData("", new[] { 7 })]
    [InlineData("aé", new[] { 7, 0x61, 0xC3, 0xA9 })]
    public void A_prompt_of_bytes_starts_with_the_token_that_ends_texts(string text, int[] tokens)
    {
        var tokenizer = new ByteTokenizer(7);
        Assert.Equal(tokens, tokenizer.Encode(text));
        Assert.Equal(tokens.Length, tokenizer.Count(text));
        Assert.Equal(["a", "<0xC3>"], new[] { 0x61, 0xC3 }.Select(tokenizer.TextOf));
    }

    private static GenerationRequest Request(int minTokens) =>
        new(null, "", 10, 0, 0, 1, 1, [], Details: true, MinTokens: minTokens);
}
