namespace Sluice.Core.Dispatch;

/// <summary>The right to send one request to one worker, until disposed.</summary>
public sealed class Slot : IDisposable
{
    private readonly EndpointDispatch owner;
    private int ended;

    internal Slot(EndpointDispatch owner, WorkerAddress worker, int epoch)
    {
        this.owner = owner;
        Worker = worker;
        Epoch = epoch;
    }

    public WorkerAddress Worker { get; }

    /// <summary>Which of the gateway's leases it belongs to; a slot of a lost lease is not given back.</summary>
    internal int Epoch { get; }

    /// <summary>It was claimed for a job.</summary>
    internal bool IsForJob { get; init; }

    /// <summary>Its use has ended. Guarded by its endpoint's gate.</summary>
    internal bool IsReturned { get; set; }

    /// <summary>The worker answered: the slot can be used again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0) owner.Return(this, workerReachable: true);
    }

    /// <summary>The worker could not be reached: the slot goes back, and nobody is sent to this worker until its
    /// host has seen it answer.</summary>
    public void Broken()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0) owner.Return(this, workerReachable: false);
    }
}
