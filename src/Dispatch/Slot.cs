using Sluice.Domain.Fleet;

namespace Sluice.Dispatch;

/// <summary>The right to send one request to one worker, until the slot is disposed.</summary>
public sealed class Slot : IDisposable
{
    private readonly EndpointDispatch owner;
    private int ended;

    internal Slot(EndpointDispatch owner, WorkerUse use, int epoch, bool isolated)
    {
        this.owner = owner;
        Use = use;
        Epoch = epoch;
        IsIsolated = isolated;
    }

    public WorkerAddress Worker => Use.Worker;

    /// <summary>Whether its work has all slots of the worker.</summary>
    public bool IsIsolated { get; }

    /// <summary>The work of this gateway on the worker.</summary>
    internal WorkerUse Use { get; }

    /// <summary>The number of slots of the worker that are booked for it.</summary>
    internal int Count => IsIsolated ? Worker.Concurrency : 1;

    /// <summary>The lease of the gateway that it belongs to; a slot of a lost lease is not returned.</summary>
    internal int Epoch { get; }

    /// <summary>Whether it was claimed for a job.</summary>
    internal bool IsForJob { get; init; }

    /// <summary>Whether its use has ended. The lock of its endpoint guards it.</summary>
    internal bool IsReturned { get; set; }

    /// <summary>Returns the slot of a worker that answered, so that it can be used again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0) _ = owner.Return(this, workerReachable: true);
    }

    /// <summary>
    /// Returns the slot of a worker that cannot be reached. No request is sent to this worker until its host has
    /// received an answer from it.
    /// </summary>
    /// <returns>
    /// Whether this work was certainly the only work on the worker when the worker was lost. False if another gateway
    /// may have had work there, and if the slot was returned before.
    /// </returns>
    public bool MarkWorkerUnreachable() =>
        Interlocked.Exchange(ref ended, 1) == 0 && owner.Return(this, workerReachable: false);
}
