using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>
/// The masks of one grammar over one vocabulary: which tokens may follow. Masks are kept, within a limit of memory.
/// Thread-safe.
/// </summary>
/// <param name="grammar">The grammar.</param>
/// <param name="vocabulary">The vocabulary.</param>
internal sealed class MaskSource(Grammar grammar, ConstraintVocabulary vocabulary)
{
    private const int MaxMasks = 128;
    private const long MaxStateBytes = 4 << 20;
    private readonly Lock guard = new();
    private readonly TokenTrie trie = vocabulary.Trie;
    private readonly TrieWalk walk = new(grammar, vocabulary.Trie);
    private readonly Dictionary<Configuration, TokenMask> masks = [];
    private readonly Dictionary<int, StateTokens> states = [];
    private long stateBytes;

    /// <summary>The grammar.</summary>
    public Grammar Grammar => grammar;

    /// <summary>The vocabulary.</summary>
    public ConstraintVocabulary Vocabulary => vocabulary;

    /// <summary>Returns the tokens that may follow. Tokens that end the text are not in the mask.</summary>
    public TokenMask Find(Configurations ways)
    {
        lock (guard)
        {
            if (ways.Ways.Count == 1) return Find(ways.Ways[0]);
            var mask = new TokenMask(trie.VocabularySize);
            foreach (var way in ways.Ways) mask.Add(Find(way));
            return mask;
        }
    }

    private TokenMask Find(in Configuration way)
    {
        var tokens = FindState(way.State);
        var key = Simplify(way, tokens);
        if (masks.TryGetValue(key, out var mask)) return mask;
        mask = Compute(way, tokens);
        if (masks.Count >= MaxMasks) masks.Clear();
        masks.Add(key, mask);
        return mask;
    }

    private StateTokens FindState(int state)
    {
        if (vocabulary.Find(state) is { } shared) return shared;
        if (states.TryGetValue(state, out var tokens)) return tokens;
        tokens = StateTokens.Find(grammar, trie, walk, state);
        stateBytes += tokens.Bytes;
        if (stateBytes > MaxStateBytes)
        {
            states.Clear();
            stateBytes = tokens.Bytes;
        }

        states.Add(state, tokens);
        return tokens;
    }

    // Far from its bounds, the length of a string does not matter.
    private Configuration Simplify(in Configuration way, StateTokens tokens)
    {
        if (way.Bounds < 0) return way;
        var bounds = grammar.Bounds[way.Bounds];
        var isLong = bounds.Max < 0 || bounds.Max - way.Characters >= tokens.MaxCharacters + 1;
        return isLong && way.Characters >= bounds.Min ? way with { Bounds = -1, Characters = 0 } : way;
    }

    private TokenMask Compute(in Configuration way, StateTokens tokens)
    {
        var mask = new TokenMask(trie.VocabularySize);
        foreach (var edge in grammar.States[way.State].Tokens) mask.Add(edge.Token);
        var nesting = way.Frame?.Nesting ?? 0;
        if (nesting + tokens.MaxNesting > Grammar.MaxNesting) return ComputeAll(way, mask);
        var (least, most) = (0, int.MaxValue);
        if (way.Bounds >= 0)
        {
            var bounds = grammar.Bounds[way.Bounds];
            least = bounds.Min - way.Characters;
            if (bounds.Max >= 0) most = bounds.Max - way.Characters;
        }

        tokens.AddTo(mask, most);
        var after = new Configurations();
        if (way.Frame is { } frame) after.Add(grammar, frame.ReturnState, frame.Parent, -1, 0);
        foreach (var (node, characters) in tokens.Exits)
        {
            if (characters < least || characters > most) continue;
            AddTokens(mask, node);
            if (way.Frame is not null) walk.Run(node, after, (next, _) => AddTokens(mask, next));
        }

        return mask;
    }

    // Near the limit of nesting, the tokens of the state alone are not exact.
    private TokenMask ComputeAll(in Configuration way, TokenMask mask)
    {
        var start = new Configurations();
        start.Add(way);
        walk.Run(0, start, (node, _) => AddTokens(mask, node));
        return mask;
    }

    private void AddTokens(TokenMask mask, int node)
    {
        foreach (var token in trie.Tokens(node)) mask.Add(token);
    }
}
