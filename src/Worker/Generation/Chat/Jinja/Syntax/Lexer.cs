using System.Text;

namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>
/// Splits a template into tokens. It accepts what the lexer of <c>@huggingface/jinja</c> accepts, so that a template is
/// understood in the same way.
/// </summary>
internal sealed class Lexer
{
    // The first match wins.
    private static readonly string[] Symbols =
    [
        "{%", "%}", "{{", "}}", "(", ")", "{", "}", "[", "]", ",", ".", ":", "|", "<=", ">=", "==", "!=", "<", ">",
        "+", "-", "~", "**", "*", "//", "/", "%", "=",
    ];

    private readonly SourceText source;
    private readonly string text;
    private readonly List<Token> tokens = [];
    private int at;
    private int braces;

    private Lexer(SourceText source)
    {
        this.source = source;
        text = source.Text;
    }

    private bool IsOutsideTags =>
        tokens.Count == 0 || tokens[^1].Kind == TokenKind.Comment || tokens[^1].Is("%}") || tokens[^1].Is("}}");

    /// <summary>Returns the tokens of a template.</summary>
    public static List<Token> Tokenize(SourceText source)
    {
        var lexer = new Lexer(source);
        while (lexer.at < lexer.text.Length) lexer.ReadToken();
        return lexer.tokens;
    }

    private void ReadToken()
    {
        if (IsOutsideTags && ReadText()) return;
        if (StartsWith("{#"))
        {
            ReadComment();
            return;
        }

        if (ReadStrippingOpening("{%-", "{%") || ReadStrippingOpening("{{-", "{{")) return;
        SkipSpace();
        if (at >= text.Length) throw End();
        if (ReadStrippingClosing("-%}", "%}") || ReadStrippingClosing("-}}", "}}")) return;
        if (ReadSigned() || ReadSymbol()) return;
        var c = text[at];
        if (c is '\'' or '"') ReadString(c);
        else if (char.IsAsciiDigit(c)) Add(TokenKind.Number, at, ReadNumber(tokens[^1].Is(".")));
        else if (IsWord(c)) ReadIdentifier();
        else throw source.Error(at, $"The character '{c}' is not expected here.");
    }

    private bool ReadText()
    {
        var start = at;
        while (at < text.Length && !(text[at] == '{' && at + 1 < text.Length && text[at + 1] is '%' or '{' or '#'))
            at++;
        if (at == start) return false;
        Add(TokenKind.Text, start, text[start..at]);
        return true;
    }

    private void ReadComment()
    {
        var start = at;
        at += 2;
        var stripsBefore = at < text.Length && text[at] == '-';
        if (stripsBefore) at++;
        var end = text.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0) throw source.Error(start, "The comment has no end; expected '#}'.");
        var stripsAfter = end > at && text[end - 1] == '-';
        if (stripsBefore) StripTextBefore();
        Add(TokenKind.Comment, start, "");
        at = end + 2;
        if (stripsAfter) SkipSpace();
    }

    private bool ReadStrippingOpening(string tag, string symbol)
    {
        if (!StartsWith(tag)) return false;
        StripTextBefore();
        Add(TokenKind.Symbol, at, symbol);
        if (symbol == "{{") braces = 0;
        at += tag.Length;
        return true;
    }

    private bool ReadStrippingClosing(string tag, string symbol)
    {
        if (!StartsWith(tag)) return false;
        Add(TokenKind.Symbol, at, symbol);
        at += tag.Length;
        SkipSpace();
        return true;
    }

    // After a value, plus and minus are operators. Otherwise they are signs, which belong to a number that follows.
    private bool ReadSigned()
    {
        if (text[at] is not ('-' or '+')) return false;
        var last = tokens.Count > 0 ? tokens[^1] : default;
        if (tokens.Count == 0 || last.Kind == TokenKind.Text)
            throw source.Error(at, $"The character '{text[at]}' is not expected here.");
        if (last.Kind is TokenKind.Identifier or TokenKind.Number or TokenKind.String || last.Is(")") || last.Is("]"))
            return false;
        var start = at++;
        var number = ReadNumber(isInteger: false);
        Add(number.Length > 0 ? TokenKind.Number : TokenKind.Sign, start, text[start] + number);
        return true;
    }

    private bool ReadSymbol()
    {
        foreach (var symbol in Symbols)
        {
            // Inside an object, "}}" is two closing braces.
            if (!StartsWith(symbol) || (symbol == "}}" && braces > 0)) continue;
            Add(TokenKind.Symbol, at, symbol);
            braces = symbol switch { "{{" => 0, "{" => braces + 1, "}" => braces - 1, _ => braces };
            at += symbol.Length;
            return true;
        }

        return false;
    }

    private void ReadIdentifier()
    {
        var start = at;
        while (at < text.Length && IsWord(text[at])) at++;
        if (at >= text.Length) throw End();
        Add(TokenKind.Identifier, start, text[start..at]);
    }

    private string ReadNumber(bool isInteger)
    {
        var start = at;
        SkipDigits();
        if (!isInteger && at > start && text[at] == '.' && at + 1 < text.Length && char.IsAsciiDigit(text[at + 1]))
        {
            at++;
            SkipDigits();
        }

        return text[start..at];
    }

    private void SkipDigits()
    {
        while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        if (at >= text.Length) throw End();
    }

    private void ReadString(char quote)
    {
        var start = at++;
        var value = new StringBuilder();
        while (at < text.Length && text[at] != quote)
            value.Append(text[at] == '\\' ? ReadEscape() : text[at++]);
        if (at >= text.Length) throw source.Error(start, $"The string has no end; expected {quote}.");
        at++;
        Add(TokenKind.String, start, value.ToString());
    }

    private char ReadEscape()
    {
        var start = at++;
        if (at >= text.Length) throw End();
        var c = text[at++];
        switch (c)
        {
            case 'n': return '\n';
            case 't': return '\t';
            case 'r': return '\r';
            case 'b': return '\b';
            case 'f': return '\f';
            case 'v': return '\v';
            case '\'' or '"' or '\\': return c;
            case 'x' or 'u':
                var length = c == 'x' ? 2 : 4;
                if (at + length <= text.Length && text.AsSpan(at, length).IndexOfAnyExcept(Hex) < 0)
                {
                    at += length;
                    return (char)Convert.ToInt32(text.Substring(at - length, length), 16);
                }

                break;
        }

        throw source.Error(
            start,
            $"The escape '\\{c}' is not valid; expected \\n, \\t, \\r, \\b, \\f, \\v, \\', \\\", \\\\, \\x and two " +
            "hexadecimal digits, or \\u and four.");
    }

    private static System.Buffers.SearchValues<char> Hex { get; } =
        System.Buffers.SearchValues.Create("0123456789abcdefABCDEF");

    private static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';

    private bool StartsWith(string part) => string.CompareOrdinal(text, at, part, 0, part.Length) == 0;

    private void SkipSpace()
    {
        while (at < text.Length && JavaScriptText.IsSpace(text[at])) at++;
    }

    private void StripTextBefore()
    {
        if (tokens.Count == 0 || tokens[^1].Kind != TokenKind.Text) return;
        var stripped = JavaScriptText.TrimEnd(tokens[^1].Value);
        if (stripped.Length == 0) tokens.RemoveAt(tokens.Count - 1);
        else tokens[^1] = tokens[^1] with { Value = stripped };
    }

    private TemplateException End() => source.Error(text.Length, "The template ends inside a tag.");

    private void Add(TokenKind kind, int offset, string value) => tokens.Add(new Token(kind, value, offset));
}
