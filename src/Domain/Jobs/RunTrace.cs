using Sluice.Domain.Fleet;

namespace Sluice.Domain.Jobs;

/// <summary>What a job records about its worker.</summary>
/// <param name="WorkerReady">When the worker became ready, by the clock of its host.</param>
/// <param name="WorkerStart">
/// The stages of the worker's start in the format of <see cref="StartStages"/>, if the job waited for it.
/// </param>
/// <param name="Provider">The execution provider, if the worker reports it.</param>
public readonly record struct RunTrace(DateTimeOffset WorkerReady, string? WorkerStart, string? Provider);
