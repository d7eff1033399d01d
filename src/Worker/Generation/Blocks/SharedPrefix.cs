namespace Sluice.Worker.Generation.Blocks;

/// <summary>The tokens of a new sequence that are in the cache already.</summary>
/// <param name="Full">Full blocks that the sequence can use together with others, without a copy.</param>
/// <param name="Tail">
/// The block that begins with the next tokens, but not with a whole block of them. -1: there is none.
/// </param>
/// <param name="TailTokens">Number of tokens of the tail that are equal.</param>
/// <param name="TakesTail">
/// Whether the sequence gets the tail itself, because no other sequence uses it and most of it is equal. Otherwise the
/// tail is copied.
/// </param>
/// <param name="Tokens">Number of tokens, in the full blocks and the tail.</param>
/// <param name="InUse">Number of full blocks that running sequences use.</param>
public sealed record SharedPrefix(
    IReadOnlyList<int> Full,
    int Tail,
    int TailTokens,
    bool TakesTail,
    int Tokens,
    int InUse)
{
    /// <summary>No tokens.</summary>
    public static readonly SharedPrefix None = new([], -1, 0, false, 0, 0);
}
