using Sluice.Worker.Generation;

namespace Sluice.Worker.Api;

/// <summary>How busy a model is that generates text.</summary>
/// <param name="CacheCapacityTokens">Number of tokens for which the key/value cache can have room.</param>
/// <param name="CacheTokens">Number of tokens of running texts in the key/value cache.</param>
/// <param name="KeptTokens">
/// Number of tokens of ended texts that the cache keeps. Running texts replace them when they need the room.
/// </param>
/// <param name="Running">Number of texts that are generated.</param>
/// <param name="Waiting">Number of texts that wait for a row of the cache.</param>
/// <param name="WaitingTokens">Number of tokens of the texts that wait.</param>
public sealed record GenerationLoad(
    long CacheCapacityTokens,
    long CacheTokens,
    long KeptTokens,
    int Running,
    int Waiting,
    long WaitingTokens)
{
    /// <summary>Reads the load of a generator.</summary>
    public static GenerationLoad Read(TextGenerator generator)
    {
        var counters = generator.Counters;
        return new GenerationLoad(
            generator.TokenRoom,
            counters.TokensHeld,
            counters.TokensKept,
            counters.Running,
            counters.Waiting,
            counters.WaitingTokens);
    }
}
