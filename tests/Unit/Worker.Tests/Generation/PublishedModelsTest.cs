using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests that models are served from folders as they are published.</summary>
public sealed class PublishedModelsTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-published-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task All_forms_of_a_model_generate_the_same_texts()
    {
        var random = new Random(5);
        var requests = Enumerable.Range(0, 60).Select(_ => Request(Prompt(random), random.Next(1, 30))).ToList();
        List<string>? expected = null;
        foreach (var form in new PublishedDecoder[]
            {
                new(), new() { Standard = true }, new() { LogitsToKeep = true },
                new() { Standard = true, LogitsToKeep = true }, new() { Standard = true, CacheBranch = true },
                new() { ThreePositions = true }, new() { Embedded = true },
                new() { Standard = true, ThreePositions = true, Embedded = true },
            })
        {
            Put(form, form.Embedded ? "onnx/decoder_model_merged_q4.onnx" : "onnx/model.onnx",
                ("config.json", """{"max_position_embeddings":64,"eos_token_id":[0]}"""));
            if (form.Embedded)
                foreach (var file in new[] { "embed_tokens_q4.onnx", "embed_tokens_fp16.onnx" })
                    File.WriteAllBytes(Path.Combine(folder, "model", "onnx", file),
                        (file.Contains("q4", StringComparison.Ordinal) ? form : form with { Vocabulary = 2 })
                            .EmbeddingBytes());
            using var repository = Open();
            var generator = repository.All.Single().Generator!;
            Assert.Equal(64, generator.Context);
            var alone = new List<string>();
            foreach (var request in requests) alone.Add(await WholeAsync(generator, request));
            expected ??= alone;
            Assert.Equal(expected, alone);
            Assert.Equal(expected, await Task.WhenAll(requests.Select(r => WholeAsync(generator, r))));
            Assert.True(generator.Counters.LargestBatch > 1, $"{form} had no batch");
            Directory.Delete(Path.Combine(folder, "model"), recursive: true);
        }
    }

    [Theory]
    [InlineData(false, true, false)]
    [InlineData(true, true, false)]
    [InlineData(false, false, true)]
    public async Task A_cache_of_fewer_bits_generates_the_same_texts_alone_and_together(
        bool standard,
        bool half,
        bool quantized)
    {
        Put(new PublishedDecoder { Standard = standard, Half = half, Quantized = quantized }, "model.onnx",
            ("genai_config.json", """{"model":{"context_length":64}}"""));
        using var repository = Open();
        var generator = repository.All.Single().Generator!;
        var requests = Enumerable.Range(0, 20).Select(i => Request($"{(char)('a' + i)}", 20)).ToList();
        var alone = new List<string>();
        foreach (var request in requests) alone.Add(await WholeAsync(generator, request));
        Assert.Equal(alone, await Task.WhenAll(requests.Select(r => WholeAsync(generator, r))));
    }

    [Fact]
    public async Task The_file_and_the_names_of_genai_config_are_used()
    {
        Put(new PublishedDecoder { Positions = "places_of", PastKey = "old.0.key" }, "decoder.onnx",
            ("genai_config.json", """
                {"model":{"context_length":48,"eos_token_id":[0,3],"vocab_size":256,"decoder":{"filename":"decoder.onnx",
                "inputs":{"position_ids":"places_of","past_key_names":"old.%d.key"}}},"search":{"top_k":40,"top_p":0.9}}
                """));
        using var repository = Open();
        var generator = repository.All.Single().Generator!;
        Assert.Equal(48, generator.Context);
        Assert.Equal((40, 0.9), (generator.Defaults.TopK, generator.Defaults.TopP));
        Assert.NotEmpty(await WholeAsync(generator, Request("a", 5)));
    }

    [Fact]
    public void A_model_that_cannot_be_served_says_what_is_missing()
    {
        Put(new PublishedDecoder { PastKey = "old.0.key" }, "model.onnx");
        Assert.Contains("needs input 'past_key_values.0.key'", Refused(), StringComparison.Ordinal);
        Put(new PublishedDecoder { Extra = "pixel_values" }, "model.onnx");
        Assert.Contains("input 'pixel_values'", Refused(), StringComparison.Ordinal);
        Put(new PublishedDecoder { Embedded = true }, "model.onnx");
        Assert.Contains("input 'inputs_embeds' needs a model that computes it from tokens, embed_tokens.onnx",
            Refused(), StringComparison.Ordinal);
        Put(new PublishedDecoder(), "model.onnx", ("config.json", """{"max_position_embeddings":"long"}"""));
        Assert.Contains("config.json: 'max_position_embeddings' is '\"long\"'; expected a whole number", Refused(),
            StringComparison.Ordinal);
        Put(new PublishedDecoder(), "model.onnx", ("config.json", "[]"));
        Assert.Contains("config.json is not a JSON object", Refused(), StringComparison.Ordinal);
    }

    private string Refused() => Assert.Throws<InvalidOperationException>(Open).Message;

    private void Put(PublishedDecoder model, string name, params (string Name, string Text)[] files)
    {
        var path = Path.Combine(folder, "model", name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, model.Bytes());
        foreach (var (file, text) in files) File.WriteAllText(Path.Combine(folder, "model", file), text);
    }

    private ModelRepository Open()
    {
        var repository = new ModelRepository(folder, [], VersionPolicy.Default, false, (name, version, path) => new(
            name, version, new ModelFile(path, path, false), new ExecutionProviders(["cpu"]), new ExecutionSlots(2),
            new BatchLimits(1, 1000), new GenerationLimits(MaxSequences: 16)));
        repository.Load();
        return repository;
    }

    private static async Task<string> WholeAsync(TextGenerator generator, GenerationRequest request)
    {
        var text = "";
        await foreach (var piece in generator.GenerateAsync(request, CancellationToken.None)) text += piece.Text;
        return text;
    }

    private static GenerationRequest Request(string text, int maxTokens) => new(
        null, text, maxTokens, Temperature: 0, TopK: 0, TopP: 1, Seed: 1, Stop: []) { IgnoreEos = true };

    private static string Prompt(Random random) =>
        new([.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => (char)random.Next('a', 'z'))]);
}
