namespace Sluice.Worker.Models;

/// <summary>A field of a message in protobuf's text format.</summary>
/// <param name="Name">Name of the field.</param>
/// <param name="Text">A scalar as text, without quotes. Empty for a message.</param>
/// <param name="Fields">The fields of a message. Null for a scalar.</param>
/// <param name="Line">Line on which the field begins, 1-based.</param>
internal sealed record TextProtoField(string Name, string Text, IReadOnlyList<TextProtoField>? Fields, int Line);

/// <summary>
/// Reads the part of protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec) that Triton's
/// <c>config.pbtxt</c> files use: fields, messages in braces or angle brackets, lists, strings and comments. Escape
/// sequences in strings are not decoded.
/// </summary>
internal sealed class TextProto
{
    /// <summary>Largest nesting depth of messages.</summary>
    private const int MaxDepth = 32;

    private readonly List<(string Text, int Line)> tokens;
    private int at;

    private TextProto(string text) => tokens = Tokens(text);

    /// <summary>Returns the fields of a file.</summary>
    /// <exception cref="InvalidDataException">The text is malformed. The message names the line.</exception>
    public static IReadOnlyList<TextProtoField> Read(string text) => new TextProto(text).Message("", 0);

    private List<TextProtoField> Message(string end, int depth)
    {
        if (depth > MaxDepth) throw Wrong($"at most {MaxDepth} nested messages");
        var fields = new List<TextProtoField>();
        while (Peek() != end)
        {
            var (name, line) = ReadToken();
            if (name.Length == 0 || !(char.IsAsciiLetter(name[0]) || name[0] == '_'))
                throw Wrong("the name of a field", at - 1);
            if (Peek() == ":") at++;
            else if (Peek() is not ("{" or "<" or "[")) throw Wrong($"':' after {name}");
            Value(fields, name, line, depth);
            if (Peek() is "," or ";") at++;
        }

        at++;
        return fields;
    }

    /// <summary>Reads one value, or each value of a list.</summary>
    private void Value(List<TextProtoField> fields, string name, int line, int depth)
    {
        if (Peek() == "[")
        {
            at++;
            while (Peek() != "]")
            {
                if (Peek() == "[") throw Wrong("no list in a list");
                Value(fields, name, line, depth);
                if (Peek() == ",") at++;
            }

            at++;
        }
        else if (Peek() is "{" or "<")
        {
            var end = ReadToken().Text == "{" ? "}" : ">";
            fields.Add(new TextProtoField(name, "", Message(end, depth + 1), line));
        }
        else if (Peek() is "" or "}" or ">" or "]" or ":" or "," or ";") throw Wrong($"a value of {name}");
        else fields.Add(new TextProtoField(name, Unquoted(ReadToken().Text), null, line));
    }

    /// <summary>Returns the next token without consuming it. Empty at the end of the file.</summary>
    private string Peek() => at < tokens.Count ? tokens[at].Text : "";

    private (string Text, int Line) ReadToken() => at < tokens.Count ? tokens[at++] : throw Wrong("more");

    private InvalidDataException Wrong(string expected, int? where = null)
    {
        var (text, line) = (where ?? at) < tokens.Count
            ? tokens[where ?? at]
            : ("the file's end", tokens.Count > 0 ? tokens[^1].Line : 1);
        return new InvalidDataException($"line {line} has {text}; expected {expected}");
    }

    private static string Unquoted(string token) => token[0] is '"' or '\'' ? token[1..^1] : token;

    private static List<(string, int)> Tokens(string text)
    {
        var (tokens, line) = (new List<(string, int)>(), 1);
        for (var i = 0; i < text.Length;)
        {
            var (start, c) = (i, text[i]);
            if (c == '\n') line++;
            if (char.IsWhiteSpace(c)) i++;
            else if (c == '#') i = text.IndexOf('\n', i) is var end and >= 0 ? end : text.Length;
            else if (c is '"' or '\'')
            {
                for (i++; i < text.Length && text[i] != c && text[i] != '\n'; i++)
                    if (text[i] == '\\') i++;
                if (i >= text.Length || text[i] != c)
                    throw new InvalidDataException($"line {line} has a string without its end");
                tokens.Add((text[start..++i], line));
            }
            else
            {
                i++;
                if (!"{}<>[]:,;".Contains(c, StringComparison.Ordinal))
                    while (i < text.Length && !char.IsWhiteSpace(text[i])
                        && !"{}<>[]:,;#\"'".Contains(text[i], StringComparison.Ordinal)) i++;
                tokens.Add((text[start..i], line));
            }
        }

        return tokens;
    }
}
