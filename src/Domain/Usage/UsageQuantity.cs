namespace Sluice.Domain.Usage;

/// <summary>What the ledger counts.</summary>
public enum UsageQuantity
{
    /// <summary>Requests that were sent to a worker.</summary>
    Requests,

    /// <summary>
    /// Requests that were sent to a worker, and failed: their status is 400 or above, or they had none.
    /// </summary>
    Errors,

    /// <summary>Jobs that ended as COMPLETED. A job that is retried ends more than once.</summary>
    Completed,

    /// <summary>Jobs that ended as FAILED.</summary>
    Failed,

    /// <summary>Jobs that ended as CANCELLED.</summary>
    Cancelled,

    /// <summary>Jobs that ended as TIMED_OUT.</summary>
    TimedOut,

    /// <summary>Bytes of the bodies of requests, and of the inputs of jobs.</summary>
    BytesIn,

    /// <summary>Bytes of the bodies of responses, and of the outputs of jobs.</summary>
    BytesOut,

    /// <summary>Tokens of prompts, with the cached ones.</summary>
    Prompt,

    /// <summary>Tokens of prompts that a cache contained.</summary>
    Cached,

    /// <summary>Generated tokens, with the wasted ones.</summary>
    Generated,

    /// <summary>Generated tokens that no client got.</summary>
    Wasted,

    /// <summary>
    /// Microseconds that requests and jobs occupied a worker. One of a worker with 8 slots occupies an eighth of it.
    /// </summary>
    Busy,

    /// <summary>Milliseconds of workers that started.</summary>
    Starting,

    /// <summary>Milliseconds of workers that were ready, busy or idle.</summary>
    Ready,

    /// <summary>Workers that became ready.</summary>
    ColdStarts,
}
