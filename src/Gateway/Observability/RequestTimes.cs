namespace Sluice.Gateway.Observability;

/// <summary>Where the time of a request went.</summary>
/// <param name="Queued">The wait for a slot without the cold start.</param>
/// <param name="Cold">The part of the wait in which its worker was not ready yet; zero: there was none.</param>
/// <param name="Run">The time with a slot; null: it got none.</param>
/// <param name="FirstToken">The time to the first part of a stream of text; null: it is no such stream.</param>
/// <param name="Total">The time from its arrival to its end.</param>
public readonly record struct RequestTimes(
    TimeSpan Queued, TimeSpan Cold, TimeSpan? Run, TimeSpan? FirstToken, TimeSpan Total);
