using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>
/// The tokens that can be read from one state, whatever follows after its rule: computed once, because most tokens of a
/// string do not end it. For tokens that end the rule, the node of the trie at its end is kept.
/// </summary>
internal sealed class StateTokens
{
    private readonly int[] tokens;
    private readonly int[] counts;
    private readonly TokenMask?[] upTo;
    private readonly int size;

    private StateTokens(int size, List<(int Token, int Characters)> found, List<(int, int)> exits, int maxNesting)
    {
        this.size = size;
        found.Sort((a, b) => a.Characters.CompareTo(b.Characters));
        MaxCharacters = found.Count == 0 ? 0 : found[^1].Characters;
        tokens = [.. found.Select(f => f.Token)];
        // The number of tokens with at most this many characters.
        counts = new int[MaxCharacters + 1];
        foreach (var (_, characters) in found) counts[characters]++;
        for (var i = 1; i < counts.Length; i++) counts[i] += counts[i - 1];
        upTo = new TokenMask?[MaxCharacters + 1];
        Exits = exits;
        MaxNesting = maxNesting;
    }

    /// <summary>The nodes at which the rule ends, and the characters of the string before them.</summary>
    public IReadOnlyList<(int Node, int Characters)> Exits { get; }

    /// <summary>The greatest nesting, of the state's own objects and arrays, that a token needs.</summary>
    public int MaxNesting { get; }

    /// <summary>The greatest number of characters of a token.</summary>
    public int MaxCharacters { get; }

    /// <summary>The memory that it uses, in bytes.</summary>
    public long Bytes =>
        (tokens.Length * 4L) + (Exits.Count * 8L) + (upTo.Count(m => m is not null) * (size / 8L)) + 256;

    /// <summary>Finds the tokens of a state.</summary>
    public static StateTokens Find(Grammar grammar, TokenTrie trie, TrieWalk walk, int state)
    {
        var start = new Configurations();
        // The first bounds have no limits, and count the characters.
        start.Add(new Configuration(state, Frame.Unknown, 0, 0));
        var tokens = new List<(int, int)>();
        var exits = new List<(int, int)>();
        var nesting = 0;
        walk.Run(0, start, (node, after) =>
        {
            nesting = Math.Max(nesting, after.MaxNesting);
            if (after.ExitCharacters >= 0) exits.Add((node, after.ExitCharacters));
            if (after.Ways.Count == 0) return;
            var way = after.Ways[0];
            var characters = ReferenceEquals(way.Frame, Frame.Unknown) ? way.Characters : 0;
            foreach (var token in trie.Tokens(node)) tokens.Add((token, characters));
        });
        return new StateTokens(trie.VocabularySize, tokens, exits, nesting);
    }

    /// <summary>Adds the tokens with at most a number of characters.</summary>
    public void AddTo(TokenMask mask, int characters)
    {
        characters = Math.Min(characters, MaxCharacters);
        if (characters < 0) return;
        var count = counts[characters];
        if (count <= size / 64)
            foreach (var token in tokens.AsSpan(0, count)) mask.Add(token);
        else
            mask.Add(UpTo(characters));
    }

    private TokenMask UpTo(int characters)
    {
        var mask = Volatile.Read(ref upTo[characters]);
        if (mask is not null) return mask;
        mask = new TokenMask(size);
        foreach (var token in tokens.AsSpan(0, counts[characters])) mask.Add(token);
        Volatile.Write(ref upTo[characters], mask);
        return mask;
    }
}
