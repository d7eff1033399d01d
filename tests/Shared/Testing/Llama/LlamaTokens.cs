using System.Globalization;
using System.Text.Json.Nodes;

namespace Sluice.Testing.Llama;

/// <summary>
/// A byte-level BPE vocabulary of any size: the bytes, then groups of two, three and four lower-case letters. The last
/// token ends a text.
/// </summary>
public sealed class LlamaTokens
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";

    /// <param name="size">Number of tokens, at least 257.</param>
    public LlamaTokens(int size)
    {
        for (var b = 0; b < 256; b++) Texts.Add(CharOf(b));
        var letters = Letters.Select(c => (Left: $"{c}", Right: "")).ToList();
        var pairs = Join(letters, letters).ToList();
        var merges = pairs.Concat(Join(pairs, letters)).Concat(Join(pairs, pairs));
        foreach (var (left, right) in merges.Take(size - Texts.Count - 1))
        {
            Merges.Add($"{left} {right}");
            Texts.Add(left + right);
        }

        Texts.Add("<|end|>");
    }

    /// <summary>The tokens by their numbers.</summary>
    public List<string> Texts { get; } = [];

    /// <summary>The merges in the order of their priority, as <c>left right</c>.</summary>
    public List<string> Merges { get; } = [];

    /// <summary>The number of the token that ends a text.</summary>
    public int End => Texts.Count - 1;

    /// <summary>Writes <c>tokenizer.json</c> and <c>tokenizer_config.json</c>.</summary>
    /// <param name="folder">The folder of the model.</param>
    /// <param name="chatTemplate">The chat template; null: the model has none.</param>
    public void Write(string folder, string? chatTemplate = null)
    {
        var vocabulary = new JsonObject();
        for (var i = 0; i < End; i++) vocabulary[Texts[i]] = i;
        JsonObject ByteLevel() => new()
        {
            ["type"] = "ByteLevel",
            ["add_prefix_space"] = false,
            ["trim_offsets"] = true,
            ["use_regex"] = true,
        };
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(new JsonObject
            {
                ["id"] = End, ["content"] = Texts[End], ["single_word"] = false, ["lstrip"] = false,
                ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
            }),
            ["pre_tokenizer"] = ByteLevel(),
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. Merges.Select(m => JsonValue.Create(m))]),
            },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        var config = new JsonObject { ["tokenizer_class"] = "PreTrainedTokenizerFast", ["eos_token"] = Texts[End] };
        if (chatTemplate is not null) config["chat_template"] = chatTemplate;
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString());
    }

    /// <summary>Returns GPT-2's visible character for a byte.</summary>
    private static string CharOf(int value)
    {
        static bool IsVisible(int b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255);
        var character = IsVisible(value) ? value : 256 + Enumerable.Range(0, value).Count(b => !IsVisible(b));
        return ((char)character).ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Returns all merges of a text of the first list and one of the second.</summary>
    private static IEnumerable<(string Left, string Right)> Join(
        List<(string Left, string Right)> first,
        List<(string Left, string Right)> second) =>
        first.SelectMany(_ => second, (a, b) => (a.Left + a.Right, b.Left + b.Right));
}
