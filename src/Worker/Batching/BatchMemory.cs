using System.Collections.Concurrent;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Allocates and pools the tensors of a model's batches. A set of tensors in use holds a reference to the model. Some
/// sets that fit every batch are kept for later batches.
/// </summary>
/// <param name="users">Reference count of the model.</param>
/// <param name="allocate">Allocates the tensors of a batch for its first request.</param>
internal sealed class BatchMemory(ModelReferenceCount users, Func<InferRequest, TensorSet> allocate) : IDisposable
{
    /// <summary>
    /// Maximum number of pooled sets. At the same time, one batch runs, one is formed, and the responses of one are
    /// written.
    /// </summary>
    private const int Spares = 4;

    private readonly ConcurrentBag<TensorSet> spares = [];
    private long bytes;

    /// <summary>Size in bytes of all sets, in use and pooled.</summary>
    public long Bytes => Interlocked.Read(ref bytes);

    /// <summary>The error for a request whose tensors cannot be allocated.</summary>
    public static InvalidRequestException Insufficient(Exception error) =>
        new($"no memory for the tensors of this request: {error.Message}", 503);

    /// <summary>
    /// Returns tensors for a batch that starts with a request. Throws if there is no memory. The caller must hold a
    /// reference to the model.
    /// </summary>
    public TensorSet Rent(InferRequest first)
    {
        var tensors = first.FitsAny && spares.TryTake(out var spare) ? spare : AddToTotal(allocate(first));
        users.Join();
        return tensors;
    }

    /// <summary>Copies some rows of a set to a new set.</summary>
    public TensorSet Extract(TensorSet from, int first, int rows)
    {
        var own = AddToTotal(from.Extract(first, rows));
        users.Join();
        return own;
    }

    /// <summary>Returns a set after use.</summary>
    public void Return(TensorSet tensors)
    {
        Keep(tensors);
        users.Leave();
    }

    /// <summary>Adds a set that was allocated outside to the pool.</summary>
    public void Adopt(TensorSet tensors) => Keep(AddToTotal(tensors));

    /// <summary>Frees a set whose content is undefined because a run failed.</summary>
    public void Discard(TensorSet tensors)
    {
        Free(tensors);
        users.Leave();
    }

    public void Dispose()
    {
        while (spares.TryTake(out var spare)) spare.Dispose();
    }

    private void Keep(TensorSet tensors)
    {
        if (tensors.FitsAny && spares.Count < Spares) spares.Add(tensors);
        else Free(tensors);
    }

    private TensorSet AddToTotal(TensorSet tensors)
    {
        Interlocked.Add(ref bytes, tensors.Bytes);
        return tensors;
    }

    private void Free(TensorSet tensors)
    {
        Interlocked.Add(ref bytes, -tensors.Bytes);
        tensors.Dispose();
    }
}
