using System.Text.Json;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>What the files beside <c>tokenizer.json</c> say about its tokens. All of them are optional.</summary>
internal sealed class TokenizerConfig
{
    private const long MaxBytes = 64L << 20;

    private readonly JsonPart? tokenizer;
    private readonly IReadOnlyList<JsonPart> models;

    private TokenizerConfig(JsonPart? tokenizer, IReadOnlyList<JsonPart> models)
    {
        this.tokenizer = tokenizer;
        this.models = models;
    }

    /// <summary>Reads <c>tokenizer_config.json</c>, and the files that name the tokens that end a text.</summary>
    /// <param name="folders">The folders of the model. Of files with one name, the first is read.</param>
    /// <exception cref="TokenizerFileException">A file is not valid JSON.</exception>
    public static TokenizerConfig Read(IReadOnlyList<string> folders)
    {
        var models = new List<JsonPart>();
        if (Load(folders, "generation_config.json") is { } generation) models.Add(generation);
        if (Load(folders, "genai_config.json")?.Find("model") is { } genai) models.Add(genai);
        if (models.Count == 0 && Load(folders, "config.json") is { } config) models.Add(config);
        return new TokenizerConfig(Load(folders, "tokenizer_config.json"), models);
    }

    /// <summary>
    /// Returns the tokens that end a generated text: first that of the tokenizer, which is often the one of a chat,
    /// then those of the model.
    /// </summary>
    public IEnumerable<int> EndTokens(Func<string, int> find)
    {
        if (TokenText("eos_token") is { } text && find(text) is var token and >= 0) yield return token;
        foreach (var part in models)
            if (part.Find("eos_token_id") is { } id)
                foreach (var end in id.Value.ValueKind == JsonValueKind.Array ? part.List("eos_token_id") : [id])
                    yield return end.AsNumber();
    }

    /// <summary>
    /// Returns the tokens before and after a text, for the classes that decide it by <c>add_bos_token</c> and
    /// <c>add_eos_token</c> instead of tokenizer.json (transformers, LlamaTokenizerFast.update_post_processor). Null
    /// for other classes.
    /// </summary>
    public (int[] Prefix, int[] Suffix)? AddedAround(Func<string, int> find)
    {
        if (tokenizer is not { } config) return null;
        var name = config.Text("tokenizer_class", "")!.Replace("Fast", "", StringComparison.Ordinal);
        if (name is not ("LlamaTokenizer" or "GemmaTokenizer" or "CohereTokenizer")) return null;
        return (Token("add_bos_token", true, "bos_token"), Token("add_eos_token", false, "eos_token"));

        int[] Token(string flag, bool defaultValue, string field) =>
            config.Flag(flag, defaultValue) && TokenText(field) is { } text && find(text) is var id and >= 0
                ? [id]
                : [];
    }

    /// <summary>Returns a token that is written as text, or as an object with its content.</summary>
    private string? TokenText(string field) => tokenizer?.Find(field) switch
    {
        null => null,
        { Value.ValueKind: JsonValueKind.Object } added => added.Text("content"),
        { } text => text.AsText(),
    };

    private static JsonPart? Load(IReadOnlyList<string> folders, string name)
    {
        var path = folders.Select(f => System.IO.Path.Combine(f, name)).FirstOrDefault(File.Exists);
        if (path is null) return null;
        if (new FileInfo(path).Length > MaxBytes)
            throw new TokenizerFileException($"{name} has more than {MaxBytes} bytes");
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return new JsonPart(document.RootElement.Clone(), name + ":");
        }
        catch (JsonException e)
        {
            throw new TokenizerFileException($"{name} is not valid JSON: {e.Message}", e);
        }
    }
}
