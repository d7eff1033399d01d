namespace Sluice.Gateway.Forwarding;

/// <summary>The outcome of a forwarded request.</summary>
public enum ForwardOutcome
{
    /// <summary>The complete response of the worker was sent to the client.</summary>
    Answered,

    /// <summary>The client closed the connection.</summary>
    ClientGone,

    /// <summary>The endpoint's queue is full.</summary>
    QueueFull,

    /// <summary>No slot became available within the queue's timeout.</summary>
    QueueTimeout,

    /// <summary>No worker is running and none can start.</summary>
    CannotStart,

    /// <summary>Redis is unavailable.</summary>
    StoreUnreachable,

    /// <summary>The request body is larger than the endpoint's limit.</summary>
    BodyTooLarge,

    /// <summary>The request body is incomplete or malformed.</summary>
    BodyBroken,

    /// <summary>
    /// The request cannot be sent in the worker's protocol: it has a header that HTTP does not allow.
    /// </summary>
    NotForwardable,

    /// <summary>Every tried worker exited before it responded, or the body cannot be sent again.</summary>
    WorkerLost,

    /// <summary>A worker sent a response that cannot be forwarded. The request is not retried.</summary>
    WorkerAnswerInvalid,

    /// <summary>A worker was silent, or executed the request, for longer than the endpoint allows.</summary>
    WorkerTimeout,

    /// <summary>
    /// The response ended early after it began. The client's connection was aborted, so that the response does not look
    /// complete.
    /// </summary>
    CutShort,
}
