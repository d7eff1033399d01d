using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Decoders;

/// <summary>Converts bytes to text as they arrive. Bytes of an incomplete character are held back.</summary>
internal sealed class Utf8Text
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Adds bytes, and returns the characters that are complete with them.</summary>
    public string Push(ReadOnlySpan<byte> bytes) => Decode(bytes, flush: false);

    /// <summary>Ends the text. An incomplete character is U+FFFD.</summary>
    public string Finish() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> chars = bytes.Length <= 128 ? stackalloc char[bytes.Length + 4] : new char[bytes.Length + 4];
        return chars[..decoder.GetChars(bytes, chars, flush)].ToString();
    }
}
