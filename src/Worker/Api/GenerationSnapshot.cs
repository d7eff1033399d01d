using Sluice.Worker.Generation;
using Sluice.Worker.Models;

namespace Sluice.Worker.Api;

/// <summary>Statistics of the texts of one model at one time.</summary>
/// <param name="Counters">What its engine did.</param>
/// <param name="Texts">Durations and sizes of the texts.</param>
/// <param name="Capacity">Number of tokens for which the key/value cache can have room.</param>
/// <param name="KeepsPrefixes">Whether texts share the tokens with which they begin.</param>
internal sealed record GenerationSnapshot(
    GenerationCounters Counters,
    GenerationStatisticsView Texts,
    long Capacity,
    bool KeepsPrefixes)
{
    /// <summary>Reads the statistics of a generator.</summary>
    public static GenerationSnapshot Read(TextGenerator generator) => new(
        generator.Counters, generator.Statistics, generator.TokenRoom, generator.PrefixCache != PrefixCache.Off);
}
