using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>Finds the tokens that a grammar accepts. Not thread-safe: it keeps its memory.</summary>
/// <param name="grammar">The grammar.</param>
/// <param name="trie">The tokens.</param>
internal sealed class TrieWalk(Grammar grammar, TokenTrie trie)
{
    private readonly Configurations[] levels =
        [.. Enumerable.Range(0, trie.Depth + 1).Select(_ => new Configurations())];

    /// <summary>Visits the nodes below a node whose bytes the grammar accepts.</summary>
    /// <param name="node">The node; its own bytes are already read.</param>
    /// <param name="start">The ways to read on.</param>
    /// <param name="visit">Is called with each node, and the ways after it.</param>
    public void Run(int node, Configurations start, Action<int, Configurations> visit)
    {
        var level = trie.Level(node);
        var next = node + 1;
        while (next < trie.End(node))
        {
            var depth = trie.Level(next) - level;
            var after = levels[depth];
            after.Clear();
            after.AddAfter(grammar, depth == 1 ? start : levels[depth - 1], trie.Label(next));
            if (!after.IsEmpty) visit(next, after);
            next = after.Ways.Count == 0 ? trie.End(next) : next + 1;
        }
    }
}
