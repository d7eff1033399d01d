using System.Text;
using Sluice.Worker.Generation.Tokenization;
using TokenizerLoader = Sluice.Worker.Generation.Tokenization.Tokenizers;

namespace Sluice.Worker.Tests.Tokenization;

/// <summary>Hugging Face's tokenizers, beside the tokenizer under test.</summary>
public sealed class TokenizerReference
{
    private readonly global::Tokenizers.DotNet.Tokenizer reference;
    private readonly int before;
    private readonly int after;

    /// <param name="folder">The folder of a tokenizer.json.</param>
    /// <param name="after">Number of tokens that it adds after a text.</param>
    public TokenizerReference(string folder, int after = 0)
    {
        reference = new(Path.Combine(folder, "tokenizer.json"));
        Own = TokenizerLoader.Load(folder);
        this.after = after;
        before = reference.Encode("").Length - after;
    }

    public HuggingFaceTokenizer Own { get; }

    /// <summary>Returns the tokens of a text, without those around it.</summary>
    public int[] Encode(string text) =>
        [.. reference.Encode(text).Skip(before).SkipLast(after).Select(t => (int)t)];

    /// <summary>Returns all tokens of a text.</summary>
    public int[] EncodeWhole(string text) => [.. reference.Encode(text).Select(t => (int)t)];

    public string Decode(int[] tokens) => reference.Decode([.. tokens.Select(t => (uint)t)]);

    /// <summary>Returns the text of tokens that arrive one by one.</summary>
    public string Stream(int[] tokens)
    {
        var decoder = Own.CreateDecoder();
        var text = new StringBuilder();
        foreach (var token in tokens)
        {
            var piece = decoder.Push(token);
            // A part of a character is never sent.
            if (piece.Length > 0)
                Assert.False(char.IsHighSurrogate(piece[^1]) || char.IsLowSurrogate(piece[0]), "half a character");
            text.Append(piece);
        }

        return text.Append(decoder.Finish()).ToString();
    }

    /// <summary>Returns a description of the first texts whose tokens or whose streamed texts differ.</summary>
    public List<string> Differences(IEnumerable<string> texts)
    {
        var differences = new List<string>();
        foreach (var text in texts)
        {
            var (own, expected) = (Own.EncodePrompt(text), Encode(text));
            if (!own.SequenceEqual(expected))
                differences.Add(
                    $"tokens of {Escape(text)}: {string.Join(' ', own)}; expected {string.Join(' ', expected)}");
            else if (Decode(expected) is var decoded && Stream(expected) is var streamed && streamed != decoded)
                differences.Add(
                    $"text of {string.Join(' ', expected)}: {Escape(streamed)}; expected {Escape(decoded)}");
            if (differences.Count >= 5) break;
        }

        return differences;
    }

    private static string Escape(string text) =>
        System.Text.Json.JsonSerializer.Serialize(text.Length > 200 ? text[..200] : text);
}
