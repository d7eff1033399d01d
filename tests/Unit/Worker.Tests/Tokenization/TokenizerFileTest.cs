using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization;
using TokenizerLoader = Sluice.Worker.Generation.Tokenization.Tokenizers;

namespace Sluice.Worker.Tests.Tokenization;

/// <summary>Tests tokenizer files that are not valid, or that are hostile, and the files beside them.</summary>
public sealed class TokenizerFileTest : IDisposable
{
    private const string Letters = """{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"</s>":3},"merges":["a b"]}""";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-tokenizer-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("", "tokenizer.json has 0 bytes")]
    [InlineData("{", "tokenizer.json is not valid JSON")]
    [InlineData("[]", "tokenizer.json is not a JSON object")]
    [InlineData("{}", "tokenizer.json has no field 'model'")]
    [InlineData("""{"model":{"type":"BPE"}}""", "tokenizer.json: model.vocab is missing")]
    [InlineData(
        """{"model":{"type":"Other","vocab":{"a":0}}}""",
        "tokenizer.json: model.type is 'Other'; supported: BPE, ")]
    [InlineData(
        """{"model":{"type":"BPE","vocab":{"a":2000000000}}}""",
        "token number 2000000000; expected at most 4194303")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":-1}}}""", "token number -1")]
    [InlineData(
        """{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}""",
        "merges[0] has a token that is not in")]
    [InlineData(
        """{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b c"]}}""",
        "merges[0] does not have two tokens")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"\ud800":0},"merges":[]}}""", "invalid value")]
    [InlineData(
        """{"model":{"type":"BPE","vocab":{"a":0},"end_of_word_suffix":"</w>"}}""",
        "model.end_of_word_suffix is '</w>'; supported: empty")]
    [InlineData(
        """{"model":{"type":"BPE","vocab":{"a":0},"dropout":0.1}}""",
        "model.dropout is 0.1; expected 0 or null")]
    [InlineData(
        """{"model":{"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]"}}""",
        "model.unk_token is '[UNK]', which is not in")]
    [InlineData(
        """{"model":{"type":"Unigram","vocab":[["a",1]],"unk_id":7}}""",
        "model.unk_id is 7; expected less than 1")]
    [InlineData(
        """{"pre_tokenizer":{"type":"UnicodeScripts"},"model":{"vocab":{"a":0}}}""",
        "tokenizer.json: pre_tokenizer.type is 'UnicodeScripts'; supported: Sequence, ")]
    [InlineData(
        """{"normalizer":{"type":"Sequence","normalizers":[{"type":"Nmt"}]},"model":{"vocab":{"a":0}}}""",
        "normalizer.normalizers[0].type is 'Nmt'; supported: ")]
    [InlineData("""{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Isolated"},"model":{"vocab":{"a":0}}}""", "pattern.Regex is '[a&&b]', which uses an intersection of classes")]
    [InlineData("""{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"},"model":{"vocab":{"a":0}}}""", "a syntax that .NET does not have")]
    [InlineData(
        """{"decoder":{"type":"CTC"},"model":{"vocab":{"a":0}}}""",
        "tokenizer.json: decoder.type is 'CTC'; supported: ")]
    [InlineData(
        """{"added_tokens":[{"id":99999999,"content":"x"}],"model":{"vocab":{"a":0}}}""",
        "added_tokens has token 99999999")]
    public void An_invalid_file_is_rejected_with_the_field_and_the_value(string json, string error)
    {
        var e = Assert.Throws<TokenizerFileException>(() => Load(json));
        Assert.Contains(error, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pattern_that_needs_too_long_is_stopped()
    {
        var tokenizer = Load("""
            {"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+b"},"behavior":"Isolated"},"model":
            """ + Letters + "}");
        Assert.Equal([2], tokenizer.Encode("ab"));
        Assert.Throws<TimeoutException>(() => tokenizer.Encode(new string('a', 5000)));
    }

    [Fact]
    public void A_word_of_a_million_letters_needs_no_quadratic_time()
    {
        var tokenizer = Load($$"""{"model":{{Letters}}}""");
        Assert.Equal(Enumerable.Repeat(2, 500_000), tokenizer.Encode(string.Concat(Enumerable.Repeat("ab", 500_000))));
    }

    [Fact]
    public void Fields_may_have_any_order_and_merges_may_be_before_the_vocabulary()
    {
        var tokenizer = Load("""
            {"model":{"merges":[["Ġ","a"]],"vocab":{"Ġ":0,"a":1,"Ġa":2}},"decoder":{"type":"ByteLevel"},
            "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}}
            """);
        Assert.Equal([1, 2], tokenizer.Encode("a a"));
        Assert.Equal(" a"u8.ToArray(), tokenizer.BytesOf(2).ToArray());
    }

    [Fact]
    public void Tokens_that_end_a_text_are_those_of_all_files()
    {
        Write("generation_config.json", """{"eos_token_id":[1,3,999]}""");
        Write("tokenizer_config.json", """
            {"eos_token":{"content":"ab"},"bos_token":"</s>","tokenizer_class":"LlamaTokenizerFast"}
            """);
        var tokenizer = Load($$"""{"model":{{Letters}}}""");
        Assert.Equal([2, 1, 3], tokenizer.EndTokens);
        Assert.True(tokenizer.IsEnd(3) && !tokenizer.IsEnd(0));
        // LlamaTokenizerFast adds the token before a text, whatever tokenizer.json says.
        Assert.Equal([3, 2], tokenizer.Encode("ab"));
        Assert.Equal([2], tokenizer.EncodePrompt("ab"));
    }

    [Fact]
    public void Files_beside_the_folder_onnx_are_found()
    {
        Write("tokenizer.json", $$"""{"model":{{Letters}}}""");
        var onnx = Directory.CreateDirectory(Path.Combine(folder, "onnx")).FullName;
        Assert.Equal([2], TokenizerLoader.For(new Dictionary<string, string>(), onnx).Encode("ab"));
        var e = Assert.Throws<NotSupportedException>(() => TokenizerLoader.For(new Dictionary<string, string>()));
        Assert.Contains("sluice.vocab=bytes", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_damage_to_a_file_is_an_error_of_the_file_or_none()
    {
        var random = new Random(18);
        var json = """
            {"version":"1.0","added_tokens":[{"id":4,"content":"<s>","special":true,"normalized":false}],
            "normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"a+"},"content":"a"}]},
            "pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s+|[^\\s]+"},"behavior":"Isolated","invert":false},
            "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],
            "special_tokens":{"x":{"id":"x","ids":[3]}}},
            "decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]},"model":
            """ + Letters + "}";
        for (var i = 0; i < 1000; i++)
        {
            var damaged = json.ToCharArray();
            for (var k = random.Next(1, 4); k > 0; k--)
                damaged[random.Next(damaged.Length)] = "{}[]\",:0a\\-"[random.Next(11)];
            try
            {
                Load(new string(damaged)).EncodePrompt("ab <s>b\0");
            }
            catch (TokenizerFileException)
            {
                // As it must be.
            }
        }
    }

    private HuggingFaceTokenizer Load(string json)
    {
        Write("tokenizer.json", json);
        return TokenizerLoader.Load(folder);
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(folder, name), text);
}
