namespace Sluice.Gateway.Jobs;

/// <summary>The data of the event <c>error</c> of a job stream.</summary>
/// <param name="Status">The status of the job.</param>
/// <param name="Code">The code of the error.</param>
/// <param name="Message">The error text.</param>
/// <param name="Retryable">Whether a retry of the job can succeed.</param>
internal sealed record StreamError(string Status, string Code, string Message, bool Retryable);
