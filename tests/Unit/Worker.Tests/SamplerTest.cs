using Sluice.Worker.Generation;

namespace Sluice.Worker.Tests;

public sealed class SamplerTest
{
    private const int Draws = 5_000;

    /// <summary>The tokens 0 to 3 have the probabilities 0.1, 0.2, 0.3 and 0.4.</summary>
    [Theory]
    [InlineData(0.51, 0, 1.0, new[] { 2, 3 })]
    [InlineData(0.49, 0, 1.0, new[] { 1, 2, 3 })]
    [InlineData(0.26, 2, 1.0, new[] { 2, 3 })]
    [InlineData(1.0, 0, 1.0, new[] { 3 })]
    // Tokens 1 to 3 have the probabilities 2/9, 3/9 and 4/9.
    [InlineData(0.49, 0, 0.76, new[] { 2, 3 })]
    [InlineData(0.49, 0, 0.79, new[] { 1, 2, 3 })]
    public void Tokens_below_min_p_are_not_sampled(double minP, int topK, double topP, int[] expected)
    {
        float[] logits = [0, MathF.Log(2), MathF.Log(3), MathF.Log(4)];
        var sampler = new Sampler(1, 7, topK, topP, minP);
        Assert.Equal(expected, Enumerable.Range(0, Draws).Select(_ => sampler.Next(logits)).Distinct().Order());
    }

    /// <summary>
    /// Tests which tokens are sampled. The tokens 0 to 3 have the probabilities 0.1, 0.2, 0.3 and 0.4.
    /// </summary>
    [Theory]
    [InlineData(0, 1.0, new[] { 0, 1, 2, 3 })]
    [InlineData(4, 1.0, new[] { 0, 1, 2, 3 })]
    [InlineData(9, 1.0, new[] { 0, 1, 2, 3 })]
    [InlineData(2, 1.0, new[] { 2, 3 })]
    [InlineData(1, 1.0, new[] { 3 })]
    [InlineData(0, 0.95, new[] { 0, 1, 2, 3 })]
    [InlineData(0, 0.89, new[] { 1, 2, 3 })]
    [InlineData(0, 0.41, new[] { 2, 3 })]
    [InlineData(0, 0.39, new[] { 3 })]
    [InlineData(0, 0.0, new[] { 3 })]
    // The two most likely tokens have the probabilities 3/7 and 4/7.
    [InlineData(2, 0.56, new[] { 3 })]
    [InlineData(2, 0.58, new[] { 2, 3 })]
    [InlineData(3, 0.79, new[] { 1, 2, 3 })]
    [InlineData(3, 0.77, new[] { 2, 3 })]
    public void Permitted_tokens_are_sampled_by_their_probability(int topK, double topP, int[] expected)
    {
        float[] logits = [0, MathF.Log(2), MathF.Log(3), MathF.Log(4)];
        var sampler = new Sampler(1, 7, topK, topP);
        var counts = new int[4];
        for (var i = 0; i < Draws; i++) counts[sampler.Next(logits)]++;
        var total = expected.Sum(t => t + 1.0);
        for (var token = 0; token < 4; token++)
        {
            var p = expected.Contains(token) ? (token + 1) / total : 0;
            // The tolerance is five standard deviations.
            Assert.InRange(
                counts[token],
                Draws * p - 5 * Math.Sqrt(Draws * p * (1 - p)),
                Draws * p + 5 * Math.Sqrt(Draws * p * (1 - p)));
        }
    }

    [Theory]
    [InlineData(40, 1.0)]
    [InlineData(40, 0.7)]
    [InlineData(0, 0.9)]
    [InlineData(0, 0.05)]
    [InlineData(0, 0.9999)]
    [InlineData(999, 0.999)]
    public void Sampling_a_large_vocabulary_equals_sorting_all_of_it(int topK, double topP)
    {
        const double temperature = 0.8;
        var random = new Random(3);
        // The logits are rounded, so that some are equal.
        var logits = Enumerable.Range(0, 1000).Select(_ => MathF.Round((float)(random.NextDouble() * 12), 1)).ToArray();
        var sorted = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).ToList();
        if (topK > 0) sorted = sorted[..topK];
        var weights = sorted.ConvertAll(i => Math.Exp((logits[i] - logits[sorted[0]]) / temperature));
        var (share, count) = (0.0, 0);
        while (count < sorted.Count && (count == 0 || share < topP * weights.Sum())) share += weights[count++];
        var allowed = sorted[..count].ToHashSet();

        var sampler = new Sampler(temperature, 11, topK, topP);
        var chosen = Enumerable.Range(0, Draws).Select(_ => sampler.Next(logits)).ToList();
        Assert.All(chosen, token => Assert.Contains(token, allowed));
        // Every token with an expected count above 20 was sampled.
        Assert.Superset(
            sorted.Take(count).Where((_, n) => Draws * weights[n] / share > 20).ToHashSet(),
            chosen.ToHashSet());
    }

    [Fact]
    public void Temperature_zero_selects_the_first_of_the_most_likely_tokens() =>
        Assert.Equal(1, new Sampler(0, 1, 3, 0.5).Next([1, 5, 5, 2]));
}
