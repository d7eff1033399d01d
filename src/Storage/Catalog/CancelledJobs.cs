using System.Text.Json.Serialization;

namespace Sluice.Storage.Catalog;

/// <summary>Numbers of jobs that were cancelled, or would be cancelled, with their endpoint.</summary>
public readonly record struct CancelledJobs(long Queued, long Running)
{
    /// <summary>The sum of both.</summary>
    [JsonIgnore]
    public long All => Queued + Running;
}
