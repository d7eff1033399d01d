using Microsoft.ML.OnnxRuntime;
using Sluice.Testing;
using Sluice.Worker.Embeddings;
using Sluice.Worker.Models;
using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tests.Tokenization;

namespace Sluice.Worker.Tests.Embeddings;

/// <summary>Tests embeddings with all-MiniLM-L6-v2, which eng/fetch-models fetches.</summary>
public sealed class TextEmbedderTest
{
    private static readonly string[] Sentences =
    [
        "A cat sits on the mat.", "A kitten rests on the rug.", "The stock market fell sharply on Tuesday.",
        "Prices of shares declined.", "How do I reset my password?", "", "naïve café ÜBER 語 👍🏽",
        string.Concat(Enumerable.Repeat("a long text about the sea and its ships. ", 200)),
    ];

    [Fact]
    public void Tokens_of_Bert_are_those_of_the_reference()
    {
        var tokenizer = new TokenizerReference(Folder(), after: 1);
        Assert.Empty(tokenizer.Differences(TokenizerTexts.Create()));
        Assert.Equal([101, 7592, 2088, 999, 102], tokenizer.Own.Encode("Hello World!"));
    }

    [Fact]
    public async Task Vectors_are_those_of_the_reference_alone_and_in_batches()
    {
        using var model = Load();
        var embedder = new TextEmbedder(model, new ExecutionSlots(1));
        Assert.Equal((384, Pooling.Mean, true, 256),
            (embedder.Dimensions, embedder.Settings.Pooling, embedder.Settings.Normalize, embedder.Settings.MaxTokens));
        var together = await embedder.EmbedAsync(Sentences, TestContext.Current.CancellationToken);
        var runs = embedder.Runs;
        var reference = new TokenizerReference(Folder(), after: 1);
        for (var i = 0; i < Sentences.Length; i++)
        {
            var tokens = reference.EncodeWhole(Sentences[i]);
            if (tokens.Length > 256) tokens = [.. tokens[..255], 102];
            Assert.Equal(tokens.Length, together.Tokens[i]);
            var expected = Reference(model, tokens);
            Assert.InRange(Cosine(expected, together.Vectors[i]), 0.9999, 1.0001);
            Assert.Equal(1, together.Vectors[i].Sum(v => (double)v * v), 4);
            var alone = await embedder.EmbedAsync([Sentences[i]], TestContext.Current.CancellationToken);
            Assert.InRange(Cosine(expected, alone.Vectors[0]), 0.9999, 1.0001);
        }

        // Similar sentences have similar vectors.
        Assert.True(Cosine(together.Vectors[0], together.Vectors[1]) > 0.5);
        Assert.True(Cosine(together.Vectors[0], together.Vectors[2]) < 0.2);
        Assert.Equal(1, runs);
    }

    [Fact]
    public async Task A_run_has_at_most_the_configured_number_of_tokens()
    {
        using var model = Load();
        var embedder = new TextEmbedder(model, new ExecutionSlots(1), maxBatchTokens: 40);
        await embedder.EmbedAsync([.. Enumerable.Repeat("one two three", 20)], TestContext.Current.CancellationToken);
        // 5 tokens for each text: 8 texts for each run.
        Assert.Equal(3, embedder.Runs);
        var counts = embedder.Statistics;
        Assert.Equal((1L, 20L, 100L, 0), (counts.Requests, counts.Texts, counts.Tokens, counts.Waiting));
        Assert.Equal((3L, 20, 100),
            (counts.BatchTexts.Below[^1], (int)counts.BatchTexts.Sum, (int)counts.BatchTokens.Sum));
    }

    [Fact]
    public async Task A_cancelled_caller_is_dropped_and_others_are_served()
    {
        using var model = Load();
        var embedder = new TextEmbedder(model, new ExecutionSlots(1));
        using var gone = new CancellationTokenSource();
        var calls = Enumerable.Range(0, 8).Select(i =>
            embedder.EmbedAsync([$"text {i}"], i % 2 == 0 ? gone.Token : TestContext.Current.CancellationToken)).ToList();
        await gone.CancelAsync();
        for (var i = 1; i < calls.Count; i += 2) Assert.Single((await calls[i]).Vectors);
        for (var i = 0; i < calls.Count; i += 2)
            try
            {
                await calls[i];
            }
            catch (OperationCanceledException)
            {
                // The vector may have been computed before.
            }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => embedder.EmbedAsync(["x"], gone.Token));
        Assert.Equal(0, embedder.Waiting);
    }

    /// <summary>The mean of the last hidden state in double precision, without padding.</summary>
    private static double[] Reference(OnnxModel model, int[] tokens)
    {
        long[] shape = [1, tokens.Length];
        using var ids = OrtValue.CreateTensorValueFromMemory<long>([.. tokens.Select(t => (long)t)], shape);
        using var ones = OrtValue.CreateTensorValueFromMemory<long>([.. tokens.Select(_ => 1L)], shape);
        using var zeros = OrtValue.CreateTensorValueFromMemory<long>(new long[tokens.Length], shape);
        using var options = new RunOptions();
        using var outputs = model.Session.Run(options,
            ["input_ids", "attention_mask", "token_type_ids"], [ids, ones, zeros], [model.OutputNames[0]]);
        var hidden = outputs[0].GetTensorDataAsSpan<float>();
        var mean = new double[384];
        for (var i = 0; i < hidden.Length; i++) mean[i % 384] += hidden[i] / (double)tokens.Length;
        return mean;
    }

    private static double Cosine(IEnumerable<double> a, float[] b)
    {
        double dot = 0, left = 0, right = 0;
        foreach (var (x, y) in a.Zip(b))
        {
            dot += x * y;
            left += x * x;
            right += (double)y * y;
        }

        return dot / Math.Sqrt(left * right);
    }

    private static double Cosine(float[] a, float[] b) => Cosine(a.Select(v => (double)v), b);

    private static string Folder()
    {
        var folder = Path.Combine(Repository.Models, "embed", "1");
        var exists = File.Exists(Path.Combine(folder, "model.onnx"));
        Require.Available(exists ? null : "eng/fetch-models has not run: make test runs it");
        return folder;
    }

    private static LoadedModel Load()
    {
        var path = Path.Combine(Folder(), "model.onnx");
        return new LoadedModel("embed", "1", new ModelFile(path, path, false), new ExecutionProviders(["cpu"]),
            new ExecutionSlots(1), new BatchLimits());
    }
}
