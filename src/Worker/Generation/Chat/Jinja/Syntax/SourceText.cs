using System.Text;

namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>
/// The text of a template after Jinja's preparation, with the position of each character in the original. The
/// preparation is that of Hugging Face: the last newline is removed, <c>lstrip_blocks</c> and <c>trim_blocks</c> are
/// on, and the tags <c>generation</c> and <c>endgeneration</c> are removed.
/// </summary>
internal sealed class SourceText
{
    private readonly string original;
    private readonly List<int> positions;

    private SourceText(string original, string text, List<int> positions)
    {
        this.original = original;
        Text = text;
        this.positions = positions;
    }

    /// <summary>The prepared text.</summary>
    public string Text { get; }

    /// <summary>Prepares a template.</summary>
    public static SourceText Prepare(string template)
    {
        var length = template.EndsWith('\n') ? template.Length - 1 : template.Length;
        var source = new SourceText(template, template[..length], [.. Enumerable.Range(0, length)]);
        source = source.Without(IndentsOfTags(source.Text));
        source = source.Without(NewlinesAfterTags(source.Text));
        return source.Without(GenerationTags(source.Text));
    }

    /// <summary>Returns an error at an offset of the prepared text, with its line and column in the original.</summary>
    public TemplateException Error(int offset, string message)
    {
        var position = offset < positions.Count ? positions[offset] : original.Length;
        var before = original.AsSpan(0, position);
        var line = before.Count('\n') + 1;
        var column = position - before.LastIndexOf('\n');
        return new TemplateException(
            TemplateErrorKind.Syntax,
            $"The chat template has an error in line {line}, column {column}: {message}");
    }

    private static bool IsTag(string text, int at) =>
        at + 1 < text.Length && text[at] == '{' && text[at + 1] is '#' or '%' or '-';

    private static IEnumerable<(int Start, int End)> IndentsOfTags(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (i > 0 && text[i - 1] is not ('\n' or '\r' or '\u2028' or '\u2029')) continue;
            var end = i;
            while (end < text.Length && text[end] is ' ' or '\t') end++;
            if (end > i && IsTag(text, end)) yield return (i, end);
        }
    }

    private static IEnumerable<(int Start, int End)> NewlinesAfterTags(string text)
    {
        for (var i = 2; i < text.Length; i++)
            if (text[i] == '\n' && text[i - 1] == '}' && text[i - 2] is '#' or '%' or '-')
                yield return (i, i + 1);
    }

    // (\s*){%(-?)\s*(?:end)?generation\s*(-?)%}(\s*), where a hyphen removes the space on its side.
    private static IEnumerable<(int Start, int End)> GenerationTags(string text)
    {
        var last = 0;
        for (var open = text.IndexOf("{%", StringComparison.Ordinal);
             open >= 0;
             open = text.IndexOf("{%", Math.Max(open + 1, last), StringComparison.Ordinal))
        {
            var at = open + 2;
            var stripsBefore = Skip(text, ref at, "-");
            SkipSpace(text, ref at);
            Skip(text, ref at, "end");
            if (!Skip(text, ref at, "generation")) continue;
            SkipSpace(text, ref at);
            var stripsAfter = Skip(text, ref at, "-");
            if (!Skip(text, ref at, "%}")) continue;
            var start = open;
            while (stripsBefore && start > last && JavaScriptText.IsSpace(text[start - 1])) start--;
            last = at;
            SkipSpace(text, ref last);
            yield return (start, stripsAfter ? last : at);
        }
    }

    private static bool Skip(string text, ref int at, string part)
    {
        if (string.CompareOrdinal(text, at, part, 0, part.Length) != 0) return false;
        at += part.Length;
        return true;
    }

    private static void SkipSpace(string text, ref int at)
    {
        while (at < text.Length && JavaScriptText.IsSpace(text[at])) at++;
    }

    private SourceText Without(IEnumerable<(int Start, int End)> parts)
    {
        var builder = new StringBuilder(Text.Length);
        var kept = new List<int>(Text.Length);
        var from = 0;
        foreach (var (start, end) in parts)
        {
            Keep(from, start);
            from = end;
        }

        if (from == 0) return this;
        Keep(from, Text.Length);
        return new SourceText(original, builder.ToString(), kept);

        void Keep(int start, int end)
        {
            builder.Append(Text, start, end - start);
            kept.AddRange(positions.GetRange(start, end - start));
        }
    }
}
