using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Observability;

/// <summary>A sample in Prometheus' text format 0.0.4: <c>name{label="text",...} value [time]</c>. Pure.</summary>
/// <param name="Name">The name of the metric.</param>
/// <param name="Labels">
/// The labels as written, without braces. Labels with the same name as a label of the gateway get the prefix
/// <c>exported_</c>, as in Prometheus.
/// </param>
/// <param name="Rest">The value and the optional time.</param>
internal readonly record struct SampleLine(string Name, string Labels, string Rest)
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

    /// <summary>Parses a line. Returns null if the line does not have this form.</summary>
    public static SampleLine? Read(ReadOnlySpan<char> line)
    {
        var end = line.IndexOfAny('{', ' ', '\t');
        if (end < 0 || !IsName(line[..end])) return null;
        var name = line[..end].ToString();
        var labels = "";
        var rest = line[end..].TrimStart();
        if (rest[0] == '{')
        {
            if (ReadLabels(rest[1..], out labels) is not { } length) return null;
            rest = rest[(length + 1)..].TrimStart();
        }

        var space = rest.IndexOfAny(' ', '\t');
        var value = space < 0 ? rest : rest[..space];
        var time = space < 0 ? default : rest[space..].Trim();
        if (!IsNumber(value)) return null;
        if (!time.IsEmpty && !long.TryParse(time, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
            return null;
        return new SampleLine(name, labels, time.IsEmpty ? value.ToString() : $"{value} {time}");
    }

    /// <summary>
    /// Returns whether a text consists of letters, digits, <c>_</c> and <c>:</c> (metric names only).
    /// </summary>
    public static bool IsName(ReadOnlySpan<char> text) => !text.IsEmpty && !char.IsAsciiDigit(text[0])
        && text.IndexOfAnyExcept(NameCharacters) < 0;

    /// <summary>Writes the sample.</summary>
    /// <param name="text">The output.</param>
    /// <param name="more">Labels of the gateway, which are written first.</param>
    public void Write(StringBuilder text, string more)
    {
        text.Append(Name).Append('{').Append(more);
        if (Labels.Length > 0) text.Append(',').Append(Labels);
        text.Append("} ").Append(Rest).Append('\n');
    }

    /// <summary>
    /// Reads up to the closing brace. Returns the number of characters, or null if the labels are invalid.
    /// </summary>
    private static int? ReadLabels(ReadOnlySpan<char> text, out string labels)
    {
        var (read, names, at) = (new StringBuilder(), new HashSet<string>(), 0);
        labels = "";
        while (true)
        {
            at += text[at..].Length - text[at..].TrimStart().Length;
            if (at >= text.Length) return null;
            if (text[at] == '}')
            {
                labels = read.ToString();
                return at + 1;
            }

            var equals = text[at..].IndexOf('=');
            if (equals < 0 || at + equals + 1 >= text.Length || text[at + equals + 1] != '"') return null;
            var name = text.Slice(at, equals).Trim().ToString();
            if (name is "endpoint" or "pod") name = "exported_" + name;
            var start = at + equals + 2;
            var end = EndOfText(text, start);
            // One invalid or duplicate label would cause Prometheus to reject all samples of all workers.
            if (end < 0 || !IsLabel(name) || !names.Add(name)) return null;
            read.Append(read.Length > 0 ? "," : "").Append(name).Append("=\"").Append(text[start..end]).Append('"');
            at = end + 1;
            if (at < text.Length && text[at] == ',') at++;
            else if (at >= text.Length || text[at..].TrimStart() is not ['}', ..]) return null;
        }
    }

    /// <summary>
    /// Returns whether a label name is valid. Prometheus reserves names that begin with two underscores.
    /// </summary>
    private static bool IsLabel(string name) =>
        IsName(name)
        && !name.Contains(':', StringComparison.Ordinal)
        && !name.StartsWith("__", StringComparison.Ordinal);

    /// <summary>
    /// Returns the index of the closing quote of a label's text. A backslash escapes the next character.
    /// </summary>
    private static int EndOfText(ReadOnlySpan<char> text, int from)
    {
        for (var i = from; i < text.Length; i++)
        {
            if (text[i] == '\\') i++;
            else if (text[i] == '"') return i;
        }

        return -1;
    }

    private static bool IsNumber(ReadOnlySpan<char> text) => text is "NaN" or "+Inf" or "-Inf" or "Inf"
        || double.TryParse(
            text,
            NumberStyles.Float & ~NumberStyles.AllowLeadingWhite & ~NumberStyles.AllowTrailingWhite,
            CultureInfo.InvariantCulture,
            out _);
}
