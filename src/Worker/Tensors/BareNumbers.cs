using System.Buffers;

namespace Sluice.Worker.Tensors;

/// <summary>
/// Finds NaN and infinities that Triton's clients write into JSON: <c>NaN</c>, <c>Infinity</c> and <c>Inf</c>,
/// without quotes and with an optional minus sign. JSON does not allow them (RFC 8259, section 6), but Triton's
/// parser does (RapidJSON's kParseNanAndInfFlag). The search runs only after a strict parser rejected the text, so
/// other requests have no cost.
/// </summary>
public static class BareNumbers
{
    private static readonly SearchValues<byte> Starts = SearchValues.Create("\"NI"u8);

    /// <summary>Returns the text with quotes around its bare numbers. Null if it has none.</summary>
    public static byte[]? Quote(ReadOnlySpan<byte> json)
    {
        ArrayBufferWriter<byte>? quoted = null;
        var copied = 0;
        for (var at = 0; Find(json, ref at) is var length and > 0; at += length)
        {
            quoted ??= new ArrayBufferWriter<byte>(json.Length + 64);
            quoted.Write(json[copied..at]);
            quoted.Write(Name(json.Slice(at, length)));
            copied = at + length;
        }

        quoted?.Write(json[copied..]);
        return quoted?.WrittenSpan.ToArray();
    }

    /// <summary>
    /// Returns a text of the same length with digits in place of the bare numbers, so that the positions of other
    /// errors are those of the original text.
    /// </summary>
    public static byte[] Blank(ReadOnlySpan<byte> json)
    {
        var blank = json.ToArray();
        for (var at = 0; Find(json, ref at) is var length and > 0; at += length)
            blank.AsSpan(at, length).Fill((byte)'1');
        return blank;
    }

    /// <summary>Returns the length of the bare number at the start of the text. 0 if there is none.</summary>
    public static int LengthAt(ReadOnlySpan<byte> json)
    {
        var sign = json.Length > 0 && json[0] == '-' ? 1 : 0;
        var rest = json[sign..];
        var length = 0;
        if (rest.StartsWith("Infinity"u8)) length = 8;
        else if (rest.StartsWith("NaN"u8) || rest.StartsWith("Inf"u8)) length = 3;
        if (length == 0 || (rest.Length > length && char.IsAsciiLetterOrDigit((char)rest[length]))) return 0;
        return sign + length;
    }

    /// <summary>Moves to the next bare number outside of strings and returns its length. 0 if there is none.</summary>
    private static int Find(ReadOnlySpan<byte> json, ref int at)
    {
        while (json[at..].IndexOfAny(Starts) is var next and >= 0)
        {
            at += next;
            if (json[at] == '"')
            {
                at = StringEnd(json, at);
                continue;
            }

            var start = at > 0 && json[at - 1] == '-' ? at - 1 : at;
            if (LengthAt(json[start..]) is var length and > 0)
            {
                at = start;
                return length;
            }

            at++;
        }

        return 0;
    }

    /// <summary>Returns the index after the string that starts here.</summary>
    private static int StringEnd(ReadOnlySpan<byte> json, int start)
    {
        var at = start + 1;
        while (at < json.Length && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
        return Math.Min(at + 1, json.Length);
    }

    private static ReadOnlySpan<byte> Name(ReadOnlySpan<byte> bare) =>
        bare.EndsWith("NaN"u8) ? "\"NaN\""u8 : bare[0] == '-' ? "\"-Infinity\""u8 : "\"Infinity\""u8;
}
