using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>
/// What constraints need of a tokenizer: its tokens as a tree, and the tokens that the rules of JSON accept, which all
/// grammars have in common. One for a model. Thread-safe.
/// </summary>
internal sealed class ConstraintVocabulary
{
    private readonly StateTokens?[] shared;

    /// <param name="tokenizer">The tokenizer of the model.</param>
    public ConstraintVocabulary(ITokenizer tokenizer)
    {
        Tokenizer = tokenizer;
        Trie = new TokenTrie(tokenizer);
        var builder = new GrammarBuilder();
        var grammar = builder.Build(builder.Json.Value);
        shared = new StateTokens?[grammar.SharedStates];
        var walk = new TrieWalk(grammar, Trie);
        // The states inside of strings accept most tokens. They are found here, not while texts are generated.
        for (var state = 0; state < shared.Length; state++)
            if (grammar.States[state].Bytes.Length > 0)
                shared[state] = StateTokens.Find(grammar, Trie, walk, state);
    }

    /// <summary>The tokenizer.</summary>
    public ITokenizer Tokenizer { get; }

    /// <summary>The tokens.</summary>
    public TokenTrie Trie { get; }

    /// <summary>Returns the tokens of a state that all grammars have; null for other states.</summary>
    public StateTokens? Find(int state) => state < shared.Length ? shared[state] : null;
}
