namespace Sluice.Worker.Generation.Blocks;

/// <summary>
/// The blocks of one sequence, in the order of its tokens. Only a <see cref="BlockPool"/> changes it.
/// </summary>
public sealed class BlockTable
{
    internal BlockTable(string scope) => Scope = scope;

    /// <summary>Numbers of the blocks.</summary>
    public IReadOnlyList<int> Blocks => Numbers;

    internal List<int> Numbers { get; } = [];

    internal string Scope { get; }

    /// <summary>Number of blocks at the beginning that are full, and whose tokens other sequences can find.</summary>
    internal int Full { get; set; }

    /// <summary>Identifies the tokens of the full blocks. 0: there are none.</summary>
    internal long Prefix { get; set; }
}
