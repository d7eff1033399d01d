namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>
/// The alphabet of byte-level models: GPT-2 writes each byte as a visible character, for example a space as 'Ġ'.
/// Printable characters of Latin-1 stand for themselves; the other 68 bytes are U+0100 to U+0143.
/// </summary>
internal static class ByteAlphabet
{
    private const int Shift = 0x100;

    /// <summary>The byte of each character, or -1.</summary>
    private static readonly short[] Bytes = Build();

    /// <summary>Decodes characters in UTF-8. Returns false if one is not in the alphabet.</summary>
    /// <param name="utf8">The characters.</param>
    /// <param name="target">Receives the bytes; at least as long as the input.</param>
    /// <param name="length">Number of bytes.</param>
    public static bool TryDecode(ReadOnlySpan<byte> utf8, Span<byte> target, out int length)
    {
        length = 0;
        for (var i = 0; i < utf8.Length; i++)
        {
            int c = utf8[i];
            if (c >= 0x80)
            {
                // Two bytes of UTF-8: U+0080 to U+07FF.
                if ((c & 0xE0) != 0xC0 || i + 1 >= utf8.Length) return false;
                c = ((c & 0x1F) << 6) | (utf8[++i] & 0x3F);
            }

            if (c >= Bytes.Length || Bytes[c] < 0) return false;
            target[length++] = (byte)Bytes[c];
        }

        return true;
    }

    private static short[] Build()
    {
        var bytes = new short[0x144];
        Array.Fill(bytes, (short)-1);
        var next = Shift;
        for (var b = 0; b < 256; b++)
        {
            var isPrintable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            bytes[isPrintable ? b : next++] = (short)b;
        }

        return bytes;
    }
}
