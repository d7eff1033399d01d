using Sluice.Worker.Embeddings;

namespace Sluice.Worker.Tests.Embeddings;

/// <summary>Tests what the files of a sentence-transformers model mean, and which texts run together.</summary>
public sealed class EmbeddingSettingsTest : IDisposable
{
    private const string Modules = """
        [{"type":"sentence_transformers.models.Transformer","path":""},
        {"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}
        """;

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-embedding-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_model_without_files_has_the_mean_with_length_1() =>
        Assert.Equal(new EmbeddingSettings(Pooling.Mean, Normalize: true, 512), EmbeddingSettings.Read(folder));

    [Theory]
    [InlineData("pooling_mode_mean_tokens", Pooling.Mean)]
    [InlineData("pooling_mode_cls_token", Pooling.Cls)]
    [InlineData("pooling_mode_lasttoken", Pooling.LastToken)]
    public void Pooling_and_limits_are_those_of_the_files(string mode, Pooling pooling)
    {
        Write("modules.json", Modules + "]");
        Write("1_Pooling/config.json", $$"""{"pooling_mode_max_tokens":false,"{{mode}}":true}""");
        Write("config.json", """{"model_type":"xlm-roberta","max_position_embeddings":514,"pad_token_id":1}""");
        Assert.Equal(new EmbeddingSettings(pooling, Normalize: false, 512, 1), EmbeddingSettings.Read(folder));
        Write("sentence_bert_config.json", """{"max_seq_length":128}""");
        Assert.Equal(128, EmbeddingSettings.Read(folder).MaxTokens);
    }

    [Theory]
    [InlineData(
        """{"pooling_mode_max_tokens":true}""",
        "]", "1_Pooling/config.json has the pooling 'pooling_mode_max_tokens'")]
    [InlineData(
        "{}",
        """,{"type":"sentence_transformers.models.Dense","path":"2"}]""", "module of type 'sentence_transformers.models.Dense'")]
    [InlineData("{}", ",7]", "modules.json is not a list of modules")]
    [InlineData("{}", "", "modules.json is not a list of modules")]
    public void What_is_not_supported_is_named(string pooling, string modules, string error)
    {
        Write("modules.json", Modules + modules);
        Write("1_Pooling/config.json", pooling);
        Assert.Contains(error, Assert.ThrowsAny<Exception>(() => EmbeddingSettings.Read(folder)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { 9 }, 5, 4, new[] { 0 })]
    [InlineData(new[] { 5, 5, 5, 5 }, 15, 9, new[] { 0, 1, 2 })]
    [InlineData(new[] { 5, 5, 5, 5 }, 99, 2, new[] { 0, 1 })]
    [InlineData(new[] { 5, 100, 6, 4, 50 }, 18, 9, new[] { 0, 2, 3 })]
    public void A_run_has_texts_of_similar_lengths_within_its_limits(
        int[] lengths,
        int tokens,
        int texts,
        int[] selected) =>
        Assert.Equal(selected, TokenBatch.Select(lengths, tokens, texts));

    private void Write(string name, string text)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
