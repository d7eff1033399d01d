namespace Sluice.Worker.Generation;

/// <summary>Counts what the engine of one model did since it was loaded. A consistent copy.</summary>
/// <param name="Steps">Number of steps.</param>
/// <param name="PromptTokens">Tokens of prompts that were read, without those that were read again.</param>
/// <param name="CachedTokens">Tokens of prompts that were not read, because another row contained them.</param>
/// <param name="GeneratedTokens">Tokens that were generated.</param>
/// <param name="RecomputedTokens">
/// Tokens that were read again after a preemption, or that another worker generated before it was lost.
/// </param>
/// <param name="Preemptions">Number of times that a sequence lost its row.</param>
/// <param name="Abandoned">Sequences that ended early because their reader stopped.</param>
/// <param name="AbandonedTokens">Tokens that were read or generated for abandoned sequences.</param>
/// <param name="FailedTokens">Tokens that were read or generated for sequences that failed.</param>
/// <param name="LargestBatch">Largest number of sequences that generated a token in one run.</param>
/// <param name="Running">Number of sequences that have a row now.</param>
/// <param name="Waiting">Number of sequences that wait for a row now.</param>
/// <param name="WaitingTokens">Number of tokens of the sequences that wait.</param>
/// <param name="TokensHeld">Number of tokens of running sequences in the cache now.</param>
/// <param name="TokensKept">Number of tokens in the cache that are kept for sequences that begin with them.</param>
public readonly record struct GenerationCounters(
    long Steps,
    long PromptTokens,
    long CachedTokens,
    long GeneratedTokens,
    long RecomputedTokens,
    long Preemptions,
    long Abandoned,
    long AbandonedTokens,
    long FailedTokens,
    int LargestBatch,
    int Running,
    int Waiting,
    long WaitingTokens,
    long TokensHeld,
    long TokensKept);
