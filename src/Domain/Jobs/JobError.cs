namespace Sluice.Domain.Jobs;

/// <summary>Why a job has no output.</summary>
/// <param name="Code">The machine-readable code; see <see cref="JobErrors"/>.</param>
/// <param name="Message">The description for users.</param>
/// <param name="Retryable">Whether a retry with the same input may succeed.</param>
public sealed record JobError(string Code, string Message, bool Retryable);
