namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>
/// A grammar over bytes: an automaton whose edges read bytes, or call rules, so that it needs a stack. It has no edges
/// that read nothing, and no rule calls itself before it has read a byte. Immutable.
/// </summary>
internal sealed class Grammar
{
    /// <summary>The nesting of JSON objects and arrays that a grammar accepts, below the 64 of usual parsers.</summary>
    public const int MaxNesting = 48;

    /// <summary>The value of a state from which no end can be reached.</summary>
    public const int Unreachable = int.MaxValue;

    /// <summary>The edges of each state.</summary>
    public required Edges[] States { get; init; }

    /// <summary>Whether the rule of a state can end there.</summary>
    public required bool[] Accepts { get; init; }

    /// <summary>The least number of bytes from each state to the end of its rule.</summary>
    public required int[] Distances { get; init; }

    /// <summary>By how many bytes one decision can make the shortest end longer.</summary>
    public required int MaxDetour { get; init; }

    /// <summary>The least nesting of objects and arrays from each state to the end of its rule.</summary>
    public required int[] Nestings { get; init; }

    /// <summary>The rules.</summary>
    public required Rule[] Rules { get; init; }

    /// <summary>The bounds of strings. The first ones only count.</summary>
    public required CharacterBounds[] Bounds { get; init; }

    /// <summary>The rule of the whole text.</summary>
    public required int Root { get; init; }

    /// <summary>The number of states that all grammars have in common.</summary>
    public required int SharedStates { get; init; }

    /// <summary>Returns whether the rule of a state can end below a number of open objects and arrays.</summary>
    public bool CanEnd(int state, int nesting) =>
        Distances[state] != Unreachable && Nestings[state] <= MaxNesting - nesting;

    /// <summary>Returns whether a state has nothing but edges for bytes.</summary>
    public bool IsPlain(int state) =>
        !Accepts[state] && States[state].Calls.Length == 0 && States[state].Tokens.Length == 0;
}
