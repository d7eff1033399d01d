using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Decoders;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>The tokenizer of models over bytes: each byte of the UTF-8 text is a token.</summary>
/// <param name="endOfText">The token that ends a text. The model also expects it before a text.</param>
public sealed class ByteTokenizer(byte endOfText) : ITokenizer
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];

    public int EndOfText => endOfText;

    public IReadOnlyList<int> EndTokens { get; } = [endOfText];

    /// <summary>Empty: no text looks like the token that ends a text.</summary>
    public IReadOnlyList<string> SpecialTokens => [];

    public int VocabularySize => Bytes.Length;

    public string Unit => "bytes";

    public int[] Encode(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var tokens = new int[bytes.Length + 1];
        tokens[0] = endOfText;
        for (var i = 0; i < bytes.Length; i++) tokens[i + 1] = bytes[i];
        return tokens;
    }

    /// <summary>Models over bytes have one special token, which is before the prompt, as for a plain text.</summary>
    public int[] EncodePrompt(string text) =>
        Encode(text.Replace(ITokenizer.Separator.ToString(), "", StringComparison.Ordinal));

    public int LeastTokens(string text) =>
        Encoding.UTF8.GetByteCount(text) - (text.AsSpan().Count(ITokenizer.Separator) * ITokenizer.SeparatorBytes);

    public int Count(string text) => Encoding.UTF8.GetByteCount(text) + 1;

    /// <summary>
    /// Returns the character of a byte. A byte that is not a complete character is written as <c>&lt;0xC3&gt;</c>, as
    /// SentencePiece writes its byte tokens.
    /// </summary>
    public string TextOf(int token) => token < 0x80
        ? ((char)token).ToString()
        : string.Create(CultureInfo.InvariantCulture, $"<0x{token:X2}>");

    public ReadOnlySpan<byte> BytesOf(int token) =>
        token < 0 || token >= Bytes.Length || IsSpecial(token) ? [] : Bytes.AsSpan(token, 1);

    public bool IsSpecial(int token) => token == endOfText;

    public bool IsEnd(int token) => token == endOfText;

    public ITokenDecoder CreateDecoder() => new ByteDecoder();

    private sealed class ByteDecoder : ITokenDecoder
    {
        private readonly Utf8Text text = new();

        public string Push(int token) => text.Push([(byte)token]);

        public string Finish() => text.Finish();
    }
}
