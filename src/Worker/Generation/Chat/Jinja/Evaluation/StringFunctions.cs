using System.Text;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>Functions on strings, for methods and filters.</summary>
/// <param name="budget">Counts the characters.</param>
internal sealed class StringFunctions(EvaluationBudget budget)
{
    /// <summary>
    /// Splits a text as Python does: without a separator, at runs of white space, without empty parts.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="separator">The separator; null: white space.</param>
    /// <param name="maxSplits">The number of splits; -1: all. The rest is the last part.</param>
    public ListValue Split(string text, string? separator, double maxSplits)
    {
        budget.UseCharacters(text.Length);
        if (separator is null) return SplitAtSpace(JavaScriptText.TrimStart(text), maxSplits);
        if (separator.Length == 0) throw TemplateException.Evaluation("split() has an empty separator.");
        var parts = new List<Value>();
        var from = 0;
        while (maxSplits < 0 || parts.Count < maxSplits)
        {
            var at = text.IndexOf(separator, from, StringComparison.Ordinal);
            if (at < 0) break;
            AddPart(parts, text[from..at]);
            from = at + separator.Length;
        }

        AddPart(parts, text[from..]);
        return new ListValue(parts);
    }

    /// <summary>Replaces a part of a text wherever it occurs, at most a number of times.</summary>
    /// <param name="text">The text.</param>
    /// <param name="old">The part. An empty part is between all characters.</param>
    /// <param name="replacement">What replaces it.</param>
    /// <param name="count">How often; negative: always.</param>
    public string Replace(string text, string old, string replacement, double count)
    {
        budget.UseCharacters(text.Length);
        var builder = new StringBuilder();
        var from = 0;
        for (var done = 0; count < 0 || done < count; done++)
        {
            var at = FindPart(text, old, from, done > 0);
            if (at < 0) break;
            budget.UseCharacters(at - from + replacement.Length + 1);
            builder.Append(text, from, at - from).Append(replacement);
            from = at + old.Length;
        }

        return builder.Append(text, from, text.Length - from).ToString();
    }

    /// <summary>Indents the lines of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="width">The number of spaces.</param>
    /// <param name="indentsFirst">Whether the first line is indented.</param>
    /// <param name="indentsBlank">Whether empty lines are indented.</param>
    public string Indent(string text, double width, bool indentsFirst, bool indentsBlank)
    {
        if (width is < 0 or > 1 << 20) throw TemplateException.Evaluation($"indent() has a width of {width}.");
        var lines = text.Split('\n');
        budget.UseCharacters(text.Length + (lines.Length * (long)width));
        var indent = new string(' ', (int)width);
        for (var i = 0; i < lines.Length; i++)
            if ((i > 0 || indentsFirst) && (lines[i].Length > 0 || indentsBlank))
                lines[i] = indent + lines[i];
        return string.Join('\n', lines);
    }

    private ListValue SplitAtSpace(string text, double maxSplits)
    {
        var parts = new List<Value>();
        var at = 0;
        while (true)
        {
            while (at < text.Length && JavaScriptText.IsSpace(text[at])) at++;
            if (at >= text.Length) return new ListValue(parts);
            var start = at;
            while (at < text.Length && !JavaScriptText.IsSpace(text[at])) at++;
            if (maxSplits >= 0 && parts.Count >= maxSplits) at = text.Length;
            AddPart(parts, text[start..at]);
        }
    }

    private void AddPart(List<Value> parts, string part)
    {
        budget.UseSteps(1);
        parts.Add(new StringValue(part));
    }

    // A part never starts or ends inside a pair of surrogates.
    private static int FindPart(string text, string part, int from, bool isRepeated)
    {
        if (part.Length == 0)
        {
            if (!isRepeated) return 0;
            // The next character boundary after the last one.
            return from >= text.Length ? -1 : from + (JavaScriptText.IsPairAt(text, from) ? 2 : 1);
        }

        for (var at = text.IndexOf(part, from, StringComparison.Ordinal);
             at >= 0;
             at = text.IndexOf(part, at + 1, StringComparison.Ordinal))
            if (!JavaScriptText.IsPairAt(text, at - 1) && !JavaScriptText.IsPairAt(text, at + part.Length - 1))
                return at;
        return -1;
    }
}
