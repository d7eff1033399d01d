namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>The kinds of arguments of a call.</summary>
internal enum ArgumentKind
{
    /// <summary>An expression.</summary>
    Positional,

    /// <summary><c>name=expression</c>.</summary>
    Keyword,

    /// <summary><c>*expression</c>.</summary>
    Unpacked,

    /// <summary><c>**expression</c>.</summary>
    UnpackedKeywords,
}
