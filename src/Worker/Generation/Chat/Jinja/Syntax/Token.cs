namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>The kinds of tokens of a template.</summary>
internal enum TokenKind
{
    /// <summary>Text outside of tags.</summary>
    Text,

    /// <summary>A number.</summary>
    Number,

    /// <summary>A string in quotes; the value is its content.</summary>
    String,

    /// <summary>A name, a keyword or a statement.</summary>
    Identifier,

    /// <summary>Any of the operators and delimiters; the value tells which one.</summary>
    Symbol,

    /// <summary>A sign before a value.</summary>
    Sign,

    /// <summary>A comment.</summary>
    Comment,
}

/// <summary>One token of a template.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Value">Its text; without quotes and escapes for a string.</param>
/// <param name="Offset">Its offset in the prepared text.</param>
internal readonly record struct Token(TokenKind Kind, string Value, int Offset)
{
    /// <summary>Returns whether the token is a symbol.</summary>
    public bool Is(string symbol) => Kind == TokenKind.Symbol && Value == symbol;

    /// <summary>The token for error messages.</summary>
    public override string ToString() => Kind switch
    {
        TokenKind.Text => "text",
        TokenKind.String => "a string",
        TokenKind.Comment => "a comment",
        _ => $"'{Value}'",
    };
}
