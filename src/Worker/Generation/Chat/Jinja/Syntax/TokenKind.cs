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

    /// <summary>Any of the operators and delimiters; the value is its text.</summary>
    Symbol,

    /// <summary>A sign before a value.</summary>
    Sign,

    /// <summary>A comment.</summary>
    Comment,
}
