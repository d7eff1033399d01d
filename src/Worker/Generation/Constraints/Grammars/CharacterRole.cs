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
