namespace Sluice.Gateway.Jobs;

/// <summary>The response to a request that cancels or deletes several jobs.</summary>
/// <param name="Removed">The number of jobs.</param>
/// <param name="Status">Always <c>completed</c>, as at RunPod.</param>
public sealed record PurgeResult(long Removed, string Status = "completed");
