namespace Sluice.Gateway.Forwarding;

/// <summary>How a forwarded request ended.</summary>
public enum ForwardOutcome
{
    /// <summary>The worker's answer went to the client, whole.</summary>
    Answered,

    /// <summary>The client went away.</summary>
    ClientGone,

    /// <summary>The endpoint's queue is full.</summary>
    QueueFull,

    /// <summary>No slot within the queue's timeout.</summary>
    QueueTimeout,

    /// <summary>No worker is up and none can start.</summary>
    CannotStart,

    /// <summary>Redis could not be asked.</summary>
    StoreUnreachable,

    /// <summary>The request's body is over the endpoint's limit.</summary>
    BodyTooLarge,

    /// <summary>The request's body broke off or is malformed.</summary>
    BodyBroken,

    /// <summary>The request cannot be put into the worker's protocol: a header that HTTP does not allow.</summary>
    NotForwardable,

    /// <summary>Every worker that was tried died before it answered, or the body cannot be sent again.</summary>
    WorkerLost,

    /// <summary>A worker answered, and the answer cannot be passed on; the request is not sent again.</summary>
    WorkerAnswerInvalid,

    /// <summary>A worker was silent, or ran, for longer than the endpoint allows.</summary>
    WorkerTimeout,

    /// <summary>The answer had begun and broke off: the client's connection was cut, so that it cannot look whole.</summary>
    CutShort,
}

/// <summary>An outcome with what a client should know of it.</summary>
/// <param name="Outcome">What happened.</param>
/// <param name="Detail">In words.</param>
/// <param name="RetryAfter">When trying again makes sense; zero: no statement.</param>
/// <param name="Unseen">The worker could not be connected to: it has not seen the request.</param>
public readonly record struct ForwardResult(ForwardOutcome Outcome, string Detail = "", TimeSpan RetryAfter = default, bool Unseen = false)
{
    /// <summary>The worker did not end the exchange as it should: it is probed before it gets another request.</summary>
    public bool WorkerBroke { get; init; }

    /// <summary>The worker was lost, and this request was certainly the only work on it.</summary>
    public bool WasAlone { get; init; }
}
