namespace Sluice.Domain.Jobs;

/// <summary>An attempt that produced no result.</summary>
public sealed record LostAttempt(int Attempt, string Worker, DateTimeOffset Started, DateTimeOffset Ended, string Why);
