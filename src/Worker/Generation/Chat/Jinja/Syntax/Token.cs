namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

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
