using System.Text.Json.Serialization;

namespace Sluice.Storage.Catalog;

/// <summary>The phases in which the data of a deleted endpoint is deleted.</summary>
public enum ForgetPhase
{
    /// <summary>Deletes all data, after the last worker of the endpoint has ended.</summary>
    First,

    /// <summary>Deletes data that gateways stored later, before they knew of the deletion.</summary>
    Late,

    /// <summary>Deletes the jobs, because the id is declared again.</summary>
    Declare,
}

/// <summary>Numbers of jobs that were cancelled, or would be cancelled, with their endpoint.</summary>
public readonly record struct CancelledJobs(long Queued, long Running)
{
    /// <summary>The sum of both.</summary>
    [JsonIgnore]
    public long All => Queued + Running;
}
