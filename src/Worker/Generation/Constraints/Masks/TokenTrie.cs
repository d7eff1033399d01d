using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>
/// The bytes of all tokens of a vocabulary as a tree, in depth-first order: the subtree of a node is the range of nodes
/// after it. Node 0 is the root.
/// </summary>
internal sealed class TokenTrie
{
    // Longer tokens are rare (runs of spaces), and are never allowed.
    private const int MaxLength = 200;

    private readonly List<byte> labels = [0];
    private readonly List<int> ends = [0];
    private readonly List<byte> levels = [0];
    private readonly List<int> firstTokens = [0];
    private readonly int[] tokens;

    /// <param name="tokenizer">The tokenizer of the model.</param>
    public TokenTrie(ITokenizer tokenizer)
    {
        VocabularySize = tokenizer.VocabularySize;
        tokens = [.. Enumerable.Range(0, VocabularySize).Where(t =>
            !tokenizer.IsSpecial(t) && !tokenizer.IsEnd(t) && tokenizer.BytesOf(t).Length is > 0 and <= MaxLength)];
        Array.Sort(tokens, (a, b) => tokenizer.BytesOf(a).SequenceCompareTo(tokenizer.BytesOf(b)));
        Build(tokenizer);
    }

    /// <summary>The number of tokens of the vocabulary.</summary>
    public int VocabularySize { get; }

    /// <summary>The number of nodes.</summary>
    public int Count => labels.Count;

    /// <summary>The greatest level.</summary>
    public int Depth { get; private set; }

    /// <summary>Returns the byte that leads to a node.</summary>
    public byte Label(int node) => labels[node];

    /// <summary>Returns the node after the subtree of a node.</summary>
    public int End(int node) => ends[node];

    /// <summary>Returns the number of bytes that lead to a node.</summary>
    public int Level(int node) => levels[node];

    /// <summary>Returns the tokens whose bytes lead to a node.</summary>
    public ReadOnlySpan<int> Tokens(int node)
    {
        var end = node + 1 < firstTokens.Count ? firstTokens[node + 1] : tokens.Length;
        return tokens.AsSpan(firstTokens[node]..end);
    }

    /// <summary>Adds the tokens whose bytes are at the start of some bytes.</summary>
    public void AddPrefixes(TokenMask mask, ReadOnlySpan<byte> bytes)
    {
        var node = 0;
        foreach (var value in bytes)
        {
            var child = node + 1;
            while (child < ends[node] && labels[child] != value) child = ends[child];
            if (child >= ends[node]) return;
            node = child;
            foreach (var token in Tokens(node)) mask.Add(token);
        }
    }

    private void Build(ITokenizer tokenizer)
    {
        var path = new List<int> { 0 };
        ReadOnlySpan<byte> last = [];
        for (var i = 0; i < tokens.Length; i++)
        {
            var bytes = tokenizer.BytesOf(tokens[i]);
            var common = bytes.CommonPrefixLength(last);
            Close(path, common + 1);
            for (var level = common; level < bytes.Length; level++)
            {
                path.Add(labels.Count);
                labels.Add(bytes[level]);
                levels.Add((byte)(level + 1));
                ends.Add(0);
                // The tokens of a node come before those of its subtree.
                firstTokens.Add(i);
            }

            Depth = Math.Max(Depth, bytes.Length);
            last = bytes;
        }

        Close(path, 0);
    }

    private void Close(List<int> path, int level)
    {
        while (path.Count > level)
        {
            ends[path[^1]] = labels.Count;
            path.RemoveAt(path.Count - 1);
        }
    }
}
