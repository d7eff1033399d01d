namespace Sluice.Storage.Jobs;

/// <summary>The result of a sweep of an endpoint.</summary>
/// <param name="Swept">The number of jobs whose data was deleted.</param>
/// <param name="NextIn">
/// After which time more data is due, if no job is queued or runs; null: the endpoint has no such data.
/// </param>
public readonly record struct SweepAnswer(int Swept, TimeSpan? NextIn);
