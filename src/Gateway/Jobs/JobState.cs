namespace Sluice.Gateway.Jobs;

/// <summary>The id and the status of a job, in the responses that accept, cancel and retry it.</summary>
/// <param name="Id">The job id.</param>
/// <param name="Status">The status of the job.</param>
public sealed record JobState(string Id, string Status);
