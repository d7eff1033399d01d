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
        var sampling = New(Request(minTokens: 2));
        Assert.Equal([2, 2, End, End], Enumerable.Range(0, 4).Select(_ => sampling.Next(Logits).Token));
        Assert.Equal([5, 1, 3], Logits);
    }

    [Fact]
    public void Details_have_the_probability_that_the_model_computed()
    {
        var sum = Logits.Sum(l => Math.Exp(l));
        var detail = New(Request(minTokens: 1)).Next(Logits).Detail!;
        Assert.Equal((2, "\u0002", false), (detail.Id, detail.Text, detail.Special));
        Assert.Equal(Math.Log(Math.Exp(3) / sum), detail.Logprob, 5);
        var end = New(Request(minTokens: 0)).Next(Logits).Detail!;
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

    [Fact]
    public void The_byte_tokenizer_describes_its_vocabulary()
    {
        var tokenizer = new ByteTokenizer(7);
        Assert.Equal(256, tokenizer.VocabularySize);
        Assert.Equal([7], tokenizer.EndTokens);
        Assert.True(tokenizer.IsEnd(7) && tokenizer.IsSpecial(7) && !tokenizer.IsEnd(0) && !tokenizer.IsSpecial(0));
        Assert.Equal([0xC3], tokenizer.BytesOf(0xC3).ToArray());
        foreach (var none in new[] { -1, 7, 256 }) Assert.Empty(tokenizer.BytesOf(none).ToArray());
        Assert.Equal([7, 0x61, 0x62], tokenizer.EncodePrompt("a\uFDD0b"));
    }

    [Fact]
    public void Penalties_make_tokens_less_likely_that_occurred_already()
    {
        // The prompt is token 1. Repetition counts the prompt, presence and frequency count only the generated tokens.
        Assert.Equal([End, 2, End], First(3, Request(0) with { RepetitionPenalty = 2 }, [4, 1, 3]));
        Assert.Equal([2, End, 1], First(3, Request(0) with { RepetitionPenalty = 10 }, [1, 5, 3]));
        Assert.Equal([End, 2, End, 2], First(4, Request(0) with { FrequencyPenalty = 1.5 }, [5, 1, 4]));
        Assert.Equal([End, 2, End, End], First(4, Request(0) with { PresencePenalty = 1.5 }, [5, -9, 4]));
        Assert.Equal([1, 1], First(2, Request(0) with { PresencePenalty = 1 }, [4, 5.5f, 3]));
    }

    [Fact]
    public void A_bias_is_added_to_the_logit_of_its_token()
    {
        var biases = new Dictionary<int, float> { [1] = 4.5f, [2] = -100, [9999] = 100 };
        Assert.Equal([1], First(1, Request(0) with { LogitBias = biases }, [5, 1, 6]));
    }

    [Fact]
    public void A_logprob_is_that_of_the_model_whatever_the_penalties_are()
    {
        var request = Request(0) with { LogitBias = new Dictionary<int, float> { [1] = 100 } };
        var detail = New(request).Next(Logits).Detail!;
        Assert.Equal(Math.Log(Math.Exp(1) / Logits.Sum(l => Math.Exp(l))), detail.Logprob, 5);
    }

    private static int[] First(int count, GenerationRequest request, float[] logits)
    {
        var sampling = New(request);
        return [.. Enumerable.Range(0, count).Select(_ => sampling.Next(logits).Token)];
    }

    private static TokenSampling New(GenerationRequest request) => new(request, [1], new ByteTokenizer(End));

    private static GenerationRequest Request(int minTokens) =>
        new(null, "", 10, 0, 0, 1, 1, [], Details: true, MinTokens: minTokens);
}
