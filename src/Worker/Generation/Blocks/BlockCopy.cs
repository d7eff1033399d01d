namespace Sluice.Worker.Generation.Blocks;

/// <summary>A copy of the first tokens of one block to another one.</summary>
/// <param name="From">The source.</param>
/// <param name="To">The target.</param>
/// <param name="Tokens">Number of tokens.</param>
public readonly record struct BlockCopy(int From, int To, int Tokens);
