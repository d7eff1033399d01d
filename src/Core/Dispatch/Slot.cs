namespace Sluice.Core.Dispatch;

/// <summary>The right to send one request to one worker, until disposed.</summary>
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

    /// <summary>The work that has it has all slots of the worker.</summary>
    public bool IsIsolated { get; }

    /// <summary>What this gateway has at the worker.</summary>
    internal WorkerUse Use { get; }

    /// <summary>Slots of the worker that are booked for it.</summary>
    internal int Count => IsIsolated ? Worker.Concurrency : 1;

    /// <summary>Which of the gateway's leases it belongs to; a slot of a lost lease is not given back.</summary>
    internal int Epoch { get; }

    /// <summary>It was claimed for a job.</summary>
    internal bool IsForJob { get; init; }

    /// <summary>Its use has ended. Guarded by its endpoint's gate.</summary>
    internal bool IsReturned { get; set; }

    /// <summary>The worker answered: the slot can be used again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0) _ = owner.Return(this, workerReachable: true);
    }

    /// <summary>Returns the slot of a worker that cannot be reached. No request is sent to this worker until its host has seen it answer.</summary>
    /// <returns>Whether this work was certainly the only one on the worker when the worker was lost. False where another gateway may have had
    /// work there, and where the slot was returned before.</returns>
    public bool Broken() => Interlocked.Exchange(ref ended, 1) == 0 && owner.Return(this, workerReachable: false);
}
