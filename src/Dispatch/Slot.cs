using Sluice.Domain.Fleet;

namespace Sluice.Dispatch;

/// <summary>The right to send one request to one worker, until the slot is disposed.</summary>
public sealed class Slot : IDisposable
{
    private readonly EndpointDispatch owner;
    private volatile Func<long>? counter;
    private int ended;

    internal Slot(EndpointDispatch owner, WorkerUse use, int epoch, bool isolated, long tokens)
    {
        this.owner = owner;
        Use = use;
        Epoch = epoch;
        IsIsolated = isolated;
        Tokens = isolated ? 0 : use.Worker.Cache?.Charge(tokens) ?? 0;
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

    /// <summary>
    /// The tokens that its worker is charged; 0 if the worker reports no capacity, and for isolated work, which has all
    /// slots. The lock of its endpoint guards it.
    /// </summary>
    internal long Tokens { get; private set; }

    /// <summary>
    /// Sets what counts the tokens that the request may use at most, now that its worker has counted its prompt. Each
    /// renewal of the lease calls it.
    /// </summary>
    /// <param name="count">Returns the tokens, on any thread and without a wait.</param>
    public void CountTokens(Func<long> count) => counter = count;

    /// <summary>Updates <see cref="Tokens"/> and returns it. The caller holds the lock.</summary>
    internal long Recount()
    {
        if (counter is { } count && Tokens > 0) Tokens = Worker.Cache!.Charge(Math.Max(1, count()));
        return Tokens;
    }

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
