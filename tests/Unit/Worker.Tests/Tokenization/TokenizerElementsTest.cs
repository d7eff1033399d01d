using System.Text.Json.Nodes;

namespace Sluice.Worker.Tests.Tokenization;

/// <summary>
/// Compares elements of tokenizer files that the large tokenizers of the comparison do not use with Hugging Face's
/// library, with small files that are made here.
/// </summary>
public sealed class TokenizerElementsTest : IDisposable
{
    private static readonly IReadOnlyList<string> Texts =
        [.. TokenizerTexts.Create().Where((t, i) => t.Length < 400 && i % 6 == 0)];

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-tokenizer-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("""{"type":"NFC"}""")]
    [InlineData("""{"type":"NFD"}""")]
    [InlineData("""{"type":"NFKC"}""")]
    [InlineData("""{"type":"NFKD"}""")]
    [InlineData("""{"type":"Lowercase"}""")]
    [InlineData("""{"type":"Strip","strip_left":true,"strip_right":true}""")]
    [InlineData("""{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"StripAccents"}]}""")]
    [InlineData("""{"type":"Replace","pattern":{"String":"a"},"content":"bb"}""")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":" {2,}|[^\\x00-\\x7F]"},"content":"-$1"}""")]
    [InlineData("""{"type":"Prepend","prepend":"x"}""")]
    [InlineData("""{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}""")]
    [InlineData("""{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,"strip_accents":false,"lowercase":false}""")]
    public void A_normalizer_changes_texts_as_the_reference_does(string normalizer) =>
        Compare(Bytes(normalizer: normalizer));

    [Theory]
    [InlineData("""{"type":"Whitespace"}""")]
    [InlineData("""{"type":"WhitespaceSplit"}""")]
    [InlineData("""{"type":"BertPreTokenizer"}""")]
    [InlineData("""{"type":"Punctuation","behavior":"MergedWithPrevious"}""")]
    [InlineData("""{"type":"Punctuation","behavior":"MergedWithNext"}""")]
    [InlineData("""{"type":"Digits","individual_digits":true}""")]
    [InlineData("""{"type":"Digits","individual_digits":false}""")]
    [InlineData("""{"type":"CharDelimiterSplit","delimiter":"e"}""")]
    [InlineData("""{"type":"Split","pattern":{"String":" "},"behavior":"Removed","invert":false}""")]
    [InlineData("""{"type":"Split","pattern":{"String":" "},"behavior":"Contiguous","invert":false}""")]
    [InlineData("""{"type":"Split","pattern":{"Regex":"\\p{L}+"},"behavior":"Removed","invert":true}""")]
    [InlineData("""{"type":"Split","pattern":{"Regex":"\\p{L}++\\p{N}?+|[^\\s\\p{L}]+?$|^ "},"behavior":"Isolated","invert":false}""")]
    [InlineData("""{"type":"Split","pattern":{"Regex":"(?:\\p{L}\\p{M}*+)++"},"behavior":"MergedWithNext","invert":false}""")]
    public void A_pre_tokenizer_splits_texts_as_the_reference_does(string preTokenizer) =>
        Compare(Bytes(preTokenizer: preTokenizer));

    [Fact]
    public void ByteLevel_splits_words_and_adds_a_space()
    {
        var file = Bytes();
        file["pre_tokenizer"] = JsonNode.Parse(
            """{"type":"ByteLevel","add_prefix_space":true,"use_regex":true,"trim_offsets":true}""");
        Compare(file);
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    [InlineData(true, true, true)]
    public void Added_tokens_are_found_as_the_reference_finds_them(bool singleWord, bool strip, bool normalized)
    {
        var file = Bytes(normalizer: """{"type":"Lowercase"}""");
        string[] contents = ["the", "The", "éa", "the quick", "!!", "語", "<s>", "\n\n"];
        file["added_tokens"] = new JsonArray([.. contents.Select((content, i) => (JsonNode)new JsonObject
        {
            ["id"] = 256 + 3 + i, ["content"] = content, ["single_word"] = singleWord, ["lstrip"] = strip,
            ["rstrip"] = strip && i % 2 == 0, ["normalized"] = normalized, ["special"] = false,
        })]);
        Compare(file, ["xthe the  the\tthex. The THE the quick the quicker", "a\n\n\n\n b \n\n c",
            "<s>the</s> éa ÉA éab !!!"]);
    }

    [Theory]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""", true)]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""", false)]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true}""", true)]
    public void Unigram_chooses_the_tokens_of_the_reference(string metaspace, bool byteFallback)
    {
        var tokens = Pieces().Select((t, i) => (t, -1.0 - i * 37 % 101 / 7.0)).ToList();
        if (byteFallback) tokens.AddRange(Enumerable.Range(0, 256).Select(b => ($"<0x{b:X2}>", -20.0)));
        var file = File(metaspace, new JsonObject
        {
            ["type"] = "Unigram", ["unk_id"] = 0, ["byte_fallback"] = byteFallback,
            ["vocab"] = new JsonArray([.. tokens.Prepend(("<unk>", 0.0)).Select(t =>
                (JsonNode)new JsonArray(t.Item1, t.Item2))]),
        }, metaspace[..^1].Replace(",\"split\":true", "", StringComparison.Ordinal) + "}");
        Compare(file);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(true, false)]
    public void Bpe_over_characters_falls_back_as_the_reference_does(bool byteFallback, bool fuseUnknown)
    {
        var tokens = Pieces().Prepend("<unk>").Concat(
            byteFallback ? Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>") : []).ToList();
        var merges = Pieces().Where(p => p.Length == 2).Select(p => (JsonNode)new JsonArray($"{p[0]}", $"{p[1]}"));
        var vocabulary = new JsonObject();
        foreach (var (token, i) in tokens.Select((t, i) => (t, i))) vocabulary[token] = i;
        var file = File("null", new JsonObject
        {
            ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = "<unk>", ["continuing_subword_prefix"] = null,
            ["end_of_word_suffix"] = null, ["fuse_unk"] = fuseUnknown, ["byte_fallback"] = byteFallback,
            ["ignore_merges"] = false, ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. merges]),
        }, """
           {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
           {"type":"ByteFallback"},
           {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}
           """);
        file["normalizer"] = JsonNode.Parse("""
            {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
            {"type":"Replace","pattern":{"String":" "},"content":"▁"}]}
            """);
        Compare(file);
    }

    [Fact]
    public void WordPiece_splits_words_as_the_reference_does()
    {
        var vocabulary = new JsonObject();
        foreach (var token in new[] { "[UNK]", "[CLS]", "[SEP]" }.Concat(Pieces().SelectMany(p => new[] { p, "##" + p }))
            .Distinct()) vocabulary[token] = vocabulary.Count;
        var file = File("""{"type":"BertPreTokenizer"}""", new JsonObject
        {
            ["type"] = "WordPiece", ["unk_token"] = "[UNK]", ["continuing_subword_prefix"] = "##",
            ["max_input_chars_per_word"] = 20, ["vocab"] = vocabulary,
        }, """{"type":"WordPiece","prefix":"##","cleanup":true}""");
        file["post_processor"] = JsonNode.Parse("""{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]}""");
        Compare(file, after: 1);
        var tokenizer = new TokenizerReference(folder, after: 1);
        Assert.Equal(tokenizer.EncodeWhole("the the"), tokenizer.Own.Encode("the the"));
        Assert.Equal([1, vocabulary["the"]!.GetValue<int>(), 2], tokenizer.Own.Encode("the the", maxTokens: 3));
    }

    private void Compare(JsonObject file, IEnumerable<string>? more = null, int after = 0)
    {
        System.IO.File.WriteAllText(Path.Combine(folder, "tokenizer.json"), file.ToJsonString());
        Assert.Empty(new TokenizerReference(folder, after).Differences(Texts.Concat(more ?? [])));
    }

    /// <summary>Returns words and letters of the texts, so that known and unknown parts alternate.</summary>
    private static IEnumerable<string> Pieces() =>
        "▁ e t a o n i s r h l d u c m th he in er an ▁t ▁a the ▁the and ▁and ing , . ! 1 2 12 語 é и й р е ре ع ن"
            .Split(' ').Distinct();

    private static JsonObject File(string preTokenizer, JsonObject model, string decoder) => new()
    {
        ["version"] = "1.0", ["truncation"] = null, ["padding"] = null, ["added_tokens"] = new JsonArray(),
        ["normalizer"] = null, ["pre_tokenizer"] = JsonNode.Parse(preTokenizer), ["post_processor"] = null,
        ["decoder"] = JsonNode.Parse(decoder), ["model"] = model,
    };

    /// <summary>Returns a byte-level file whose tokens are bytes and a few words.</summary>
    private static JsonObject Bytes(string normalizer = "null", string? preTokenizer = null)
    {
        const string ByteLevel =
            """{"type":"ByteLevel","add_prefix_space":true,"use_regex":false,"trim_offsets":true}""";
        var vocabulary = new JsonObject();
        var next = 0x100;
        for (var b = 0; b < 256; b++)
            vocabulary[((char)(b is (>= 33 and <= 126) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? b : next++))
                .ToString()] = b;
        foreach (var word in new[] { "th", "Ġt", "ĠĠ" }) vocabulary[word] = vocabulary.Count;
        var file = File(
            $$"""{"type":"Sequence","pretokenizers":[{{(preTokenizer is null ? "" : preTokenizer + ",")}}{{ByteLevel}}]}""",
            new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = "",
                ["end_of_word_suffix"] = "", ["fuse_unk"] = false, ["byte_fallback"] = false, ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("t h", "Ġ t", "Ġ Ġ"),
            }, ByteLevel);
        file["normalizer"] = JsonNode.Parse(normalizer);
        return file;
    }
}
