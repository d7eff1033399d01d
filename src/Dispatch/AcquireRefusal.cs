namespace Sluice.Dispatch;

/// <summary>Why a request did not acquire a slot.</summary>
public enum AcquireRefusal
{
    /// <summary>A slot was granted.</summary>
    None,

    /// <summary>The endpoint's queue is at its limit.</summary>
    QueueFull,

    /// <summary>The request waited longer than the queue timeout of the endpoint.</summary>
    QueueTimeout,

    /// <summary>No worker is running and none can start; the detail contains the reason.</summary>
    CannotStart,

    /// <summary>Redis was unreachable until the store timeout of the request passed.</summary>
    StoreUnreachable,
}
