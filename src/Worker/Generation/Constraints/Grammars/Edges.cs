namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>What an edge of a string does to the count of its characters.</summary>
internal enum CharacterRole : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It starts a character: only below the maximum.</summary>
    Starts,

    /// <summary>It ends the string: only from the minimum on.</summary>
    Ends,
}

/// <summary>The groups of edges of a grammar's states.</summary>
/// <param name="Bytes">Edges that read a byte.</param>
/// <param name="Calls">Edges that read what a rule accepts.</param>
/// <param name="Tokens">Edges that read a token without text.</param>
internal sealed record Edges(ByteEdge[] Bytes, CallEdge[] Calls, TokenEdge[] Tokens);

/// <summary>An edge that reads one byte of a range.</summary>
internal readonly record struct ByteEdge(byte Low, byte High, int Target, CharacterRole Role);

/// <summary>An edge that reads what a rule accepts.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="Return">The state after it.</param>
/// <param name="Bounds">The index of the bounds of the number of characters; -1: none.</param>
internal readonly record struct CallEdge(int Rule, int Return, int Bounds);

/// <summary>An edge that reads a special token.</summary>
internal readonly record struct TokenEdge(int Token, int Target);
