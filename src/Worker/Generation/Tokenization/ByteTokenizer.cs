using System.Globalization;
using System.Text;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>The tokenizer of models over bytes: each byte of the UTF-8 text is a token.</summary>
/// <param name="endOfText">The token that ends a text. The model also expects it before a text.</param>
public sealed class ByteTokenizer(byte endOfText) : ITokenizer
{
    public int EndOfText => endOfText;

    public string Unit => "bytes";

    public int[] Encode(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var tokens = new int[bytes.Length + 1];
        tokens[0] = endOfText;
        for (var i = 0; i < bytes.Length; i++) tokens[i + 1] = bytes[i];
        return tokens;
    }

    public int Count(string text) => Encoding.UTF8.GetByteCount(text) + 1;

    /// <summary>
    /// Returns the character of a byte. A byte that is not a complete character is written as <c>&lt;0xC3&gt;</c>, as
    /// SentencePiece writes its byte tokens.
    /// </summary>
    public string TextOf(int token) => token < 0x80
        ? ((char)token).ToString()
        : string.Create(CultureInfo.InvariantCulture, $"<0x{token:X2}>");

    public ITokenDecoder CreateDecoder() => new Utf8Decoder();

    private sealed class Utf8Decoder : ITokenDecoder
    {
        private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

        public string Push(int token)
        {
            Span<char> chars = stackalloc char[4];
            return chars[..decoder.GetChars([(byte)token], chars, flush: false)].ToString();
        }

        public string Finish()
        {
            Span<char> chars = stackalloc char[4];
            return chars[..decoder.GetChars([], chars, flush: true)].ToString();
        }
    }
}
