using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>
/// The normalizer of SentencePiece models: a table of replacements in the format of the Darts-clone double array, as
/// the library spm_precompiled reads it.
/// </summary>
internal sealed class Precompiled : INormalizer
{
    /// <summary>Longer clusters of characters are replaced character by character.</summary>
    private const int LongestCluster = 6;

    private readonly uint[] units;
    private readonly byte[] replacements;

    private Precompiled(uint[] units, byte[] replacements)
    {
        this.units = units;
        this.replacements = replacements;
    }

    /// <summary>Reads the table.</summary>
    /// <exception cref="TokenizerFileException">The table is not valid.</exception>
    public static Precompiled Create(JsonPart part)
    {
        byte[] data;
        try
        {
            data = Convert.FromBase64String(part.AsText());
        }
        catch (FormatException e)
        {
            throw new TokenizerFileException($"{part.Path} is not base64", e);
        }

        var size = data.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(data);
        if (size == 0 || size % 4 != 0 || size > data.Length - 4)
            throw new TokenizerFileException($"{part.Path} has a table of {size} bytes in {data.Length} bytes");
        var units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++)
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(4 + 4 * i));
        return new Precompiled(units, data[(4 + (int)size)..]);
    }

    public string Normalize(string text)
    {
        var result = new StringBuilder(text.Length);
        Span<byte> utf8 = stackalloc byte[4 * LongestCluster];
        for (var i = 0; i < text.Length;)
        {
            var length = StringInfo.GetNextTextElementLength(text.AsSpan(i));
            var cluster = text.AsSpan(i, length);
            i += length;
            if (length < LongestCluster && Encoding.UTF8.GetByteCount(cluster) < LongestCluster
                && Find(utf8[..Encoding.UTF8.GetBytes(cluster, utf8)]) is { } whole)
            {
                result.Append(whole);
                continue;
            }

            foreach (var rune in cluster.EnumerateRunes())
                result.Append(Find(utf8[..rune.EncodeToUtf8(utf8)]) ?? rune.ToString());
        }

        return result.ToString();
    }

    /// <summary>Returns the replacement of the shortest prefix that has one, or null.</summary>
    private string? Find(ReadOnlySpan<byte> text)
    {
        var node = Offset(units[0]);
        foreach (var b in text)
        {
            if (b == 0) return null;
            node ^= b;
            if (node >= units.Length || (units[node] & (1U << 31 | 0xFF)) != b) return null;
            var unit = units[node];
            node ^= Offset(unit);
            if ((unit >> 8 & 1) == 0) continue;
            if (node >= units.Length) return null;
            var start = (int)(units[node] & 0x7FFFFFFF);
            if (start > replacements.Length) return null;
            var rest = replacements.AsSpan(start);
            var end = rest.IndexOf((byte)0);
            return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
        }

        return null;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & (1U << 9)) >> 6);
}
