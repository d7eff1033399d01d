using System.Diagnostics;
using System.Text.RegularExpressions;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Splits at the matches of a regular expression.</summary>
internal sealed class PatternSplit(Regex regex, string path, SplitBehavior behavior, bool invert = false)
    : IPreTokenizer
{
    /// <summary>Limit of the time for one match, and for all matches of one piece, in milliseconds.</summary>
    public const int LimitMilliseconds = 2000;

    /// <summary>Returns the regular expression of a pattern of a tokenizer file.</summary>
    /// <exception cref="TokenizerFileException">The pattern is not supported.</exception>
    public static Regex Compile(string pattern, string path)
    {
        if (KnownPatterns.Find(pattern) is { } known) return known;
        try
        {
            return new Regex(PatternTranslator.Translate(pattern, path), RegexOptions.CultureInvariant,
                TimeSpan.FromMilliseconds(LimitMilliseconds));
        }
        catch (ArgumentException e)
        {
            throw PatternTranslator.Error(path, pattern, $"a syntax that .NET does not have ({e.Message})", e);
        }
    }

    public void Split(Piece piece, List<Piece> parts)
    {
        var writer = new PartWriter(piece, behavior, parts);
        var end = 0;
        foreach (var (from, to) in Matches(piece.Span))
        {
            writer.Add(from - end, invert);
            writer.Add(to - from, !invert);
            end = to;
        }

        writer.Finish(invert);
    }

    /// <summary>Returns the text with each match replaced by a plain text.</summary>
    public string Replace(string text, string replacement)
    {
        var result = new System.Text.StringBuilder(text.Length);
        var end = 0;
        foreach (var (from, to) in Matches(text))
        {
            result.Append(text, end, from - end).Append(replacement);
            end = to;
        }

        return result.Append(text, end, text.Length - end).ToString();
    }

    private List<(int From, int To)> Matches(ReadOnlySpan<char> span)
    {
        var astral = span.ContainsAnyInRange('\uD800', '\uDFFF') ? new AstralText(span) : null;
        var units = astral is null ? span : astral.Units.Span;
        var started = Stopwatch.GetTimestamp();
        var matches = new List<(int From, int To)>(span.Length / 4);
        try
        {
            foreach (var match in regex.EnumerateMatches(units))
            {
                matches.Add(astral is null
                    ? (match.Index, match.Index + match.Length)
                    : (astral.Start(match.Index), astral.Start(match.Index + match.Length)));
                if ((matches.Count & 0xFF) == 0
                    && Stopwatch.GetElapsedTime(started).TotalMilliseconds > LimitMilliseconds) throw TooSlow();
            }
        }
        catch (RegexMatchTimeoutException)
        {
            throw TooSlow();
        }

        return matches;
    }

    private TimeoutException TooSlow() =>
        new($"{path}: the pattern needs more than {LimitMilliseconds} ms for one text");
}
