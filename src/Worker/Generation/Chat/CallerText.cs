using System.Buffers;
using System.Text;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Chat;

/// <summary>
/// Inserts <see cref="ITokenizer.Separator"/> into everything in the text of a caller that looks like a special token,
/// so that it stays text: a caller cannot end a message or start one of another role. It is inserted after the first
/// character, also into the start of a special token at the end of a text, because the template could complete it.
/// </summary>
internal sealed class CallerText
{
    private readonly string[] tokens;
    private readonly SearchValues<string> search;

    /// <param name="specialTokens">The special tokens of the model.</param>
    public CallerText(IEnumerable<string> specialTokens)
    {
        tokens = [.. specialTokens.Where(t => t.Length > 1).Distinct(StringComparer.Ordinal)];
        search = SearchValues.Create(tokens, StringComparison.Ordinal);
    }

    /// <summary>Returns the text with separators.</summary>
    public string Protect(string text)
    {
        if (tokens.Length == 0) return text;
        var start = StartOfPartialToken(text);
        var next = text.AsSpan().IndexOfAny(search);
        if (next < 0 && start < 0) return text;
        var builder = new StringBuilder(text.Length + 16);
        var from = 0;
        while (next >= 0)
        {
            builder.Append(text, from, next + 1 - from).Append(ITokenizer.Separator);
            from = next + 1;
            var found = text.AsSpan(from).IndexOfAny(search);
            next = found < 0 ? -1 : from + found;
        }

        if (start >= from)
        {
            builder.Append(text, from, start + 1 - from).Append(ITokenizer.Separator);
            from = start + 1;
        }

        return builder.Append(text, from, text.Length - from).ToString();
    }

    // Templates remove white space at the end, so the token may start before it.
    private int StartOfPartialToken(string text)
    {
        var end = JavaScriptText.TrimEnd(text).Length;
        var longest = Math.Min(end, tokens.Max(t => t.Length) - 1);
        for (var start = end - longest; start < end; start++)
        {
            var tail = text.AsSpan(start, end - start);
            foreach (var token in tokens)
                if (token.Length > tail.Length && token.AsSpan().StartsWith(tail, StringComparison.Ordinal))
                    return start;
        }

        return -1;
    }
}
