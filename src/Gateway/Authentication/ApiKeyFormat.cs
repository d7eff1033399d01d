using System.IO.Hashing;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Generates, parses and hashes API keys: <c>slk_KEYID_SECRETCHECK</c>. The prefix helps secret scanners to find keys.
/// The 256-bit secret is base62. The last six characters are a CRC-32 of all characters before them, so a mistyped key
/// is distinguished from an unknown key without a lookup.
/// GitHub's design: github.blog/2021-04-05-behind-githubs-new-authentication-token-formats.
/// </summary>
public static class ApiKeyFormat
{
    public const string Prefix = "slk_";

    private const int IdLength = 10;
    private const int SecretLength = 43;
    private const int CheckLength = 6;
    private const int Length = 4 + IdLength + 1 + SecretLength + CheckLength;
    private const string Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// <summary>Generates a key. Returns its ID and its text, which is shown only once.</summary>
    public static (string Id, string Text) New()
    {
        var id = RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", IdLength);
        var secret = Encode(new BigInteger(RandomNumberGenerator.GetBytes(32), isUnsigned: true), SecretLength);
        var head = $"{Prefix}{id}_{secret}";
        return (id, head + Check(head));
    }

    /// <summary>Reads the ID from a key's text. Returns false if the text is not a well-formed key.</summary>
    public static bool TryReadId(ReadOnlySpan<char> text, out ReadOnlySpan<char> id)
    {
        id = default;
        if (text.Length != Length || !text.StartsWith(Prefix) || text[4 + IdLength] != '_') return false;
        id = text.Slice(4, IdLength);
        return text[^CheckLength..].SequenceEqual(Check(text[..^CheckLength]));
    }

    /// <summary>
    /// Returns the SHA-256 hash that is stored instead of the key. The secret has 256 random bits, so a slow hash would
    /// not add security; it would only let clients consume the gateway's CPU time.
    /// </summary>
    public static byte[] Hash(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        return SHA256.HashData(bytes);
    }

    private static string Check(ReadOnlySpan<char> head)
    {
        Span<byte> bytes = stackalloc byte[head.Length * 3];
        var n = Encoding.UTF8.GetBytes(head, bytes);
        return Encode(Crc32.HashToUInt32(bytes[..n]), CheckLength);
    }

    private static string Encode(BigInteger number, int length)
    {
        var text = new char[length];
        for (var i = length - 1; i >= 0; i--)
        {
            number = BigInteger.DivRem(number, 62, out var digit);
            text[i] = Base62[(int)digit];
        }

        return new string(text);
    }
}
