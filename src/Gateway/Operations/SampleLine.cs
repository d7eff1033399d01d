using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Operations;

/// <summary>One sample of Prometheus' text format 0.0.4: <c>name{label="text",...} value [time]</c>. Pure.</summary>
/// <param name="Name">Of the metric.</param>
/// <param name="Labels">As they are written, without braces; those that would stand beside ours of the same name begin with
/// <c>exported_</c>, as Prometheus itself calls them.</param>
/// <param name="Rest">Value and, where there is one, time.</param>
internal readonly record struct SampleLine(string Name, string Labels, string Rest)
{
    private static readonly SearchValues<char> OfNames = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

    /// <summary>Null: the line is not of this form.</summary>
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
        if (!IsNumber(value) || (!time.IsEmpty && !long.TryParse(time, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))) return null;
        return new SampleLine(name, labels, time.IsEmpty ? value.ToString() : $"{value} {time}");
    }

    /// <summary>Letters, digits, <c>_</c> and, in a metric's name, <c>:</c>.</summary>
    public static bool IsName(ReadOnlySpan<char> text) => !text.IsEmpty && !char.IsAsciiDigit(text[0])
        && text.IndexOfAnyExcept(OfNames) < 0;

    public void Write(StringBuilder text, string more)
    {
        text.Append(Name).Append('{').Append(more);
        if (Labels.Length > 0) text.Append(',').Append(Labels);
        text.Append("} ").Append(Rest).Append('\n');
    }

    /// <summary>Reads up to the closing brace; how many characters that were, or null.</summary>
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
            // One label of the wrong kind, or twice, and Prometheus refuses all samples of all workers.
            if (end < 0 || !IsLabel(name) || !names.Add(name)) return null;
            read.Append(read.Length > 0 ? "," : "").Append(name).Append("=\"").Append(text[start..end]).Append('"');
            at = end + 1;
            if (at < text.Length && text[at] == ',') at++;
            else if (at >= text.Length || text[at..].TrimStart() is not ['}', ..]) return null;
        }
    }

    /// <summary>What begins with two underscores is Prometheus' own.</summary>
    private static bool IsLabel(string name) =>
        IsName(name) && !name.Contains(':', StringComparison.Ordinal) && !name.StartsWith("__", StringComparison.Ordinal);

    /// <summary>Where a label's text ends; a backslash takes the next character with it.</summary>
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
        || double.TryParse(text, NumberStyles.Float & ~NumberStyles.AllowLeadingWhite & ~NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out _);
}
