using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Generation;

/// <summary>How the decoder of one model runs, and where its key/value cache is.</summary>
internal interface IGenerationBackEnd : IDisposable
{
    /// <summary>The decoder.</summary>
    IDecoder Decoder { get; }

    /// <summary>Limits of the cache.</summary>
    SchedulerLimits Limits { get; }

    /// <summary>Creates the cache of an engine. The decoder uses it too, so there is one for each back end.</summary>
    /// <param name="keeps">Whether tokens are kept for sequences that begin with them.</param>
    ISequenceCache CreateCache(bool keeps);

    /// <summary>Allocates a cache for runs without an engine.</summary>
    /// <param name="rows">Number of rows. If the decoder cannot read several rows, there is one.</param>
    /// <param name="tokens">Number of tokens for which each row has room.</param>
    void Allocate(int rows, int tokens);

    /// <summary>Frees the cache.</summary>
    void Free();
}
