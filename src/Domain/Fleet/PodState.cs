namespace Sluice.Domain.Fleet;

/// <summary>
/// The state of a pod: starting → ready → draining → stopping → removed. A pod that exits without a request is
/// failed.
/// It stays in the list, with its last output, until a later one is ready.
/// </summary>
public enum PodState
{
    /// <summary>Its process was started and is not ready yet.</summary>
    Starting,

    /// <summary>It receives requests.</summary>
    Ready,

    /// <summary>It receives no new requests and finishes the current ones.</summary>
    Draining,

    /// <summary>It was requested to exit.</summary>
    Stopping,

    /// <summary>It exited without a request, or never became ready.</summary>
    Failed,
}
