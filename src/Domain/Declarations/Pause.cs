namespace Sluice.Domain.Declarations;

/// <summary>The effect of a pause on requests. The workers are drained in both cases.</summary>
public enum Pause
{
    None,

    /// <summary>
    /// Requests and jobs are accepted and wait for the end of the pause, until their own time limits.
    /// </summary>
    Queue,

    /// <summary>Requests are rejected with 503. Jobs are accepted and wait.</summary>
    Refuse,
}
