using System.Runtime.CompilerServices;

namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>Reads the tokens of a template in order.</summary>
/// <param name="source">The template, for positions.</param>
/// <param name="limits">The limit of nesting.</param>
internal sealed class TokenReader(SourceText source, TemplateLimits limits)
{
    private readonly List<Token> tokens = Lexer.Tokenize(source);
    private int at;
    private int depth;

    /// <summary>Whether all tokens were read.</summary>
    public bool IsAtEnd => at >= tokens.Count;

    /// <summary>The number of tokens that were read.</summary>
    public int Position => at;

    private Token? Current => at < tokens.Count ? tokens[at] : null;

    /// <summary>Returns whether the next token has a kind.</summary>
    public bool NextIs(TokenKind kind) => Current?.Kind == kind;

    /// <summary>Returns whether the next token is a symbol.</summary>
    public bool NextIs(string symbol) => Current is { } token && token.Is(symbol);

    /// <summary>Returns whether the next token is a name, such as a keyword.</summary>
    public bool NextIsName(string name, int ahead = 0) =>
        at + ahead < tokens.Count &&
        tokens[at + ahead] is { Kind: TokenKind.Identifier } token && token.Value == name;

    /// <summary>Returns whether the next tag is one of some statements.</summary>
    public bool NextIsStatement(params ReadOnlySpan<string> names)
    {
        if (!NextIs("{%")) return false;
        foreach (var name in names)
            if (NextIsName(name, ahead: 1))
                return true;
        return false;
    }

    /// <summary>Reads a symbol if it is the next token.</summary>
    public bool TryRead(string symbol)
    {
        if (!NextIs(symbol)) return false;
        at++;
        return true;
    }

    /// <summary>Reads a name if it is the next token.</summary>
    public bool TryReadName(string name)
    {
        if (!NextIsName(name)) return false;
        at++;
        return true;
    }

    /// <summary>Reads the next token, whatever it is.</summary>
    /// <param name="expected">What is expected, for the error at the end of the template.</param>
    public Token Read(string expected)
    {
        if (Current is not { } token) throw Error(expected);
        at++;
        return token;
    }

    /// <summary>Reads a symbol.</summary>
    public void Expect(string symbol)
    {
        if (!TryRead(symbol)) throw Error($"'{symbol}'");
    }

    /// <summary>Reads a keyword.</summary>
    public void ExpectName(string name)
    {
        if (!TryReadName(name)) throw Error($"'{name}'");
    }

    /// <summary>Reads any name.</summary>
    /// <param name="expected">What the name is, for the error.</param>
    public string ReadName(string expected)
    {
        if (!NextIs(TokenKind.Identifier)) throw Error(expected);
        return tokens[at++].Value;
    }

    /// <summary>
    /// Returns whether a name occurs as a variable in the tokens from a position to here. A name after a dot is an
    /// attribute.
    /// </summary>
    public bool HasVariable(string name, int from)
    {
        for (var i = from; i < at; i++)
            if (tokens[i].Kind == TokenKind.Identifier && tokens[i].Value == name && !tokens[i - 1].Is("."))
                return true;
        return false;
    }

    /// <summary>Returns an error at the next token.</summary>
    /// <param name="expected">What is expected instead of it.</param>
    public TemplateException Error(string expected) => Current is { } token
        ? source.Error(token.Offset, $"found {token}, expected {expected}.")
        : source.Error(source.Text.Length, $"the template ends, expected {expected}.");

    /// <summary>Returns an error at the last token that was read.</summary>
    public TemplateException ErrorBefore(string message) => source.Error(tokens[Math.Max(at - 1, 0)].Offset, message);

    /// <summary>Starts a level of nesting.</summary>
    public void Enter()
    {
        if (++depth > limits.MaxSyntaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw TemplateException.Limit($"The chat template nests more than {limits.MaxSyntaxDepth} levels.");
    }

    /// <summary>Ends a level of nesting.</summary>
    public void Leave() => depth--;
}
