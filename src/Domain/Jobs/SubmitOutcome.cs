namespace Sluice.Domain.Jobs;

/// <summary>The outcome of a submission.</summary>
public enum SubmitOutcome
{
    /// <summary>The job is stored and queued.</summary>
    Queued,

    /// <summary>The Idempotency-Key already belongs to this job.</summary>
    Same,

    /// <summary>The Idempotency-Key belongs to a job with a different body.</summary>
    Conflict,

    /// <summary>The number of queued jobs of the endpoint is at its limit.</summary>
    QueueFull,

    /// <summary>The number of queued jobs of the key is at its limit.</summary>
    FlowFull,

    /// <summary>The jobs of the endpoint would exceed their limit of bytes.</summary>
    BytesFull,

    /// <summary>The jobs of the key at the endpoint would exceed their limit of bytes.</summary>
    FlowBytesFull,
}
