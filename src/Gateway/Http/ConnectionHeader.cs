using System.Text;

namespace Sluice.Gateway.Http;

/// <summary>
/// Preserves the header names in a <c>Connection</c> header. If Kestrel 10 finds exactly one known option
/// (<c>close</c>, <c>keep-alive</c>, <c>upgrade</c>) in the header, it replaces all lines of the header by that option,
/// and the other names are lost. The headers that these names list must not be forwarded (RFC 9110, section 7.6.1).
/// Kestrel does not change a header with two options. This encoding, with which Kestrel decodes each line, therefore
/// adds a second option that has no effect. Kestrel still shortens one form: a line with only <c>keep-alive</c>, with
/// the names in another line.
/// </summary>
public sealed class ConnectionHeader : Encoding
{
    private const string KeepAlive = "keep-alive";

    private static readonly string[] Options = ["close", KeepAlive, "upgrade"];

    /// <summary>The encoding that Kestrel uses for the <c>Connection</c> header.</summary>
    public static Encoding Instance { get; } = new ConnectionHeader();

    /// <summary>
    /// Returns a line with two options, or without options if it names other headers. A line with only
    /// <c>keep-alive</c> does not change, because HTTP/1.0 requires it.
    /// </summary>
    public static string Rewrite(string value)
    {
        var items = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var options = items.Where(i => Options.Contains(i, StringComparer.OrdinalIgnoreCase))
            .Distinct(StringComparer.OrdinalIgnoreCase)
            .ToList();
        if (options.Count != 1) return value;
        // close overrides keep-alive, and an upgrade does not depend on keep-alive. In HTTP/1.1 keep-alive is the
        // default.
        if (!options[0].Equals(KeepAlive, StringComparison.OrdinalIgnoreCase)) return $"{value}, {KeepAlive}";
        var names = items.Where(i => !i.Equals(KeepAlive, StringComparison.OrdinalIgnoreCase)).ToList();
        return names.Count == 0 ? value : string.Join(", ", names);
    }

    public override int GetCharCount(byte[] bytes, int index, int count) =>
        Rewrite(Latin1.GetString(bytes, index, count)).Length;

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
