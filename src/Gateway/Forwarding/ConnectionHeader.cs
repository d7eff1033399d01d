using System.Text;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Keeps the names in a <c>Connection</c> header. Kestrel 10 replaces all lines of the header, where it knows exactly one option in them
/// (<c>close</c>, <c>keep-alive</c>, <c>upgrade</c>), by that option, and the names beside it are lost; their headers must not pass (RFC 9110,
/// section 7.6.1). It leaves a header with two options as it is. So this encoding, which Kestrel decodes each line with, adds a second option that
/// changes nothing. One form remains that Kestrel shortens: a line with <c>keep-alive</c> alone, and the names in another line.
/// </summary>
public sealed class ConnectionHeader : Encoding
{
    private const string KeepAlive = "keep-alive";

    private static readonly string[] Options = ["close", KeepAlive, "upgrade"];

    /// <summary>The encoding for Kestrel's header named <c>Connection</c>.</summary>
    public static Encoding Instance { get; } = new ConnectionHeader();

    /// <summary>A line with two options, or without one where it names other headers. <c>keep-alive</c> alone stays: HTTP/1.0 needs it.</summary>
    public static string Rewrite(string value)
    {
        var items = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var options = items.Where(i => Options.Contains(i, StringComparer.OrdinalIgnoreCase)).Distinct(StringComparer.OrdinalIgnoreCase).ToList();
        if (options.Count != 1) return value;
        // close wins over keep-alive, and an upgrade does not depend on it. In HTTP/1.1 keep-alive is the default.
        if (!options[0].Equals(KeepAlive, StringComparison.OrdinalIgnoreCase)) return $"{value}, {KeepAlive}";
        var names = items.Where(i => !i.Equals(KeepAlive, StringComparison.OrdinalIgnoreCase)).ToList();
        return names.Count == 0 ? value : string.Join(", ", names);
    }

    public override int GetCharCount(byte[] bytes, int index, int count) => Rewrite(Latin1.GetString(bytes, index, count)).Length;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
    {
        var text = Rewrite(Latin1.GetString(bytes, byteIndex, byteCount));
        text.CopyTo(0, chars, charIndex, text.Length);
        return text.Length;
    }

    public override int GetMaxCharCount(int byteCount) => byteCount + KeepAlive.Length + 2;

    public override int GetByteCount(char[] chars, int index, int count) => Latin1.GetByteCount(chars, index, count);

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) =>
        Latin1.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetMaxByteCount(int charCount) => charCount;
}
