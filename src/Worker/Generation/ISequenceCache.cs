using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Generation;

/// <summary>
/// Knows which tokens of which sequences are in the key/value cache, and which tokens are kept for sequences that begin
/// with them. Tokens are shared only within one scope. Not thread-safe.
/// </summary>
internal interface ISequenceCache
{
    /// <summary>The sequences that run, in the order in which the decoder numbers them.</summary>
    IReadOnlyList<Sequence> Running { get; }

    /// <summary>Number of tokens of running sequences in the cache.</summary>
    long TokensHeld { get; }

    /// <summary>Number of other tokens in the cache.</summary>
    long TokensKept { get; }

    /// <summary>Returns how many of a waiting sequence's first tokens are in the cache.</summary>
    int FindShared(Sequence sequence);

    /// <summary>Plans a step.</summary>
    /// <param name="running">The sequences that run.</param>
    /// <param name="waiting">The other sequences, in the order in which they are served.</param>
    /// <param name="limits">The limits of the cache.</param>
    /// <param name="readTokens">Maximum numbers of tokens of prompts to read in this step.</param>
    StepPlan Plan(
        IReadOnlyList<SequenceFacts> running,
        IReadOnlyList<SequenceFacts> waiting,
        SchedulerLimits limits,
        ReadTokens readTokens);

    /// <summary>Changes the size of the cache. The tokens that were used last are kept, if there is room.</summary>
    void Resize(CacheSize size);

    /// <summary>Adds a sequence with the tokens that are in the cache. Returns its position.</summary>
    int Add(Sequence sequence);

    /// <summary>Makes room for the next tokens of a running sequence.</summary>
    /// <param name="position">Position of the sequence.</param>
    /// <param name="tokens">Number of tokens in the cache afterwards.</param>
    void Reserve(int position, int tokens);

    /// <summary>Records that tokens of running sequences were read.</summary>
    void OnRead();

    /// <summary>Removes a running sequence. Those behind it move up.</summary>
    /// <param name="position">Position of the sequence.</param>
    /// <param name="keep">Whether its tokens in the cache are valid, so that they can be kept.</param>
    void Remove(int position, bool keep);

    /// <summary>Forgets all tokens, and frees the memory.</summary>
    void Clear();
}
