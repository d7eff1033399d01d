using System.Collections.Concurrent;
using Sluice.Worker.Api;

namespace Sluice.Worker.Batching;

/// <summary>The tensors of a model's batches: those in use keep the model from being freed, and some that fit any batch are kept for the next one.</summary>
/// <param name="users">Of the model.</param>
/// <param name="make">Allocates tensors for a batch by its first request.</param>
internal sealed class BatchMemory(ModelUsers users, Func<InferRequest, TensorSet> make) : IDisposable
{
    /// <summary>Kept for the next batch: one runs, one is formed, one is being answered.</summary>
    private const int Spares = 4;

    private readonly ConcurrentBag<TensorSet> spares = [];
    private long bytes;

    /// <summary>Of all sets, those in use and those kept.</summary>
    public long Bytes => Interlocked.Read(ref bytes);

    /// <summary>Tensors for a batch that begins with this request; throws when there is no memory. For who is inside the model.</summary>
    public TensorSet Rent(InferRequest first)
    {
        var tensors = first.FitsAny && spares.TryTake(out var spare) ? spare : Counted(make(first));
        users.Join();
        return tensors;
    }

    /// <summary>Some rows of a set as a set of their own.</summary>
    public TensorSet Extract(TensorSet from, int first, int rows)
    {
        var own = Counted(from.Extract(first, rows));
        users.Join();
        return own;
    }

    /// <summary>A set is not used any more.</summary>
    public void Return(TensorSet tensors)
    {
        Keep(tensors);
        users.Leave();
    }

    /// <summary>Takes a set that was made elsewhere.</summary>
    public void Adopt(TensorSet tensors) => Keep(Counted(tensors));

    /// <summary>A set is not used any more, and what is in it is not known (a run failed).</summary>
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

    private TensorSet Counted(TensorSet tensors)
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
