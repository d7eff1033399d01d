namespace Sluice.Domain.Jobs;

/// <summary>
/// The result of an end. <see cref="Ended"/>: this call ended the job, or an earlier call of the same attempt with the
/// same status did. Otherwise <see cref="Status"/> is the status that the job had.
/// </summary>
public readonly record struct EndResult(string Id, bool Known, bool Ended, string Status);
