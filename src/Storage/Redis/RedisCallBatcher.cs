namespace Sluice.Storage.Redis;

/// <summary>
/// Combines calls to Redis: items that arrive while a call is running are sent together in the next call.
/// </summary>
/// <remarks>
/// One script that processes many items costs Redis little more than a script that processes one item. A single item is
/// sent immediately; there is no timer. At most one call runs at a time (two concurrent calls were not faster:
/// <c>job-throughput</c>). When a call fails, all items in it fail.
/// </remarks>
/// <param name="run">Makes one call for many items and returns one result per item, in the same order.</param>
/// <param name="size">Returns the size of an item in bytes.</param>
/// <param name="time">The clock of the call timeout.</param>
internal sealed class RedisCallBatcher<TItem, TResult>(
    Func<IReadOnlyList<TItem>, Task<IReadOnlyList<TResult>>> run,
    Func<TItem, int> size,
    TimeProvider time)
{
    /// <summary>
    /// The largest number of items and bytes in one call. Redis runs no other command during the call.
    /// </summary>
    private const int MaxItems = 100;
    private const int MaxBytes = 1 << 20;

    /// <summary>A call without a response after this time fails. Its outcome is unknown.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly Lock gate = new();
    private readonly Queue<(TItem Item, TaskCompletionSource<TResult> Done, CancellationToken Given)> waiting = [];
    private bool calling;

    /// <summary>Whether no item is waiting and no call is running.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate) return !calling && waiting.Count == 0;
        }
    }

    /// <summary>Adds an item to the next call and returns its result.</summary>
    /// <param name="item">The item.</param>
    /// <param name="given">Cancels the item if its call has not started yet.</param>
    public Task<TResult> AddAsync(TItem item, CancellationToken given = default)
    {
        var done = new TaskCompletionSource<TResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            waiting.Enqueue((item, done, given));
            if (calling) return done.Task;
            calling = true;
        }

        _ = LoopAsync();
        return done.Task;
    }

    private async Task LoopAsync()
    {
        while (TakeBatch() is { Count: > 0 } batch)
        {
            try
            {
                var results = await run(batch.ConvertAll(b => b.Item)).WaitAsync(Patience, time);
                for (var i = 0; i < batch.Count; i++) batch[i].Done.TrySetResult(results[i]);
            }
            catch (Exception e)
            {
                foreach (var (_, done) in batch) done.TrySetException(e);
            }

            await ThreadPoolYield.AfterOthersAsync();
        }
    }

    private List<(TItem Item, TaskCompletionSource<TResult> Done)> TakeBatch()
    {
        var batch = new List<(TItem Item, TaskCompletionSource<TResult> Done)>();
        lock (gate)
        {
            var bytes = 0;
            while (batch.Count < MaxItems && waiting.TryPeek(out var next))
            {
                if (next.Given.IsCancellationRequested) next.Done.TrySetCanceled(next.Given);
                else if ((bytes += size(next.Item)) > MaxBytes && batch.Count > 0) break;
                else batch.Add((next.Item, next.Done));
                waiting.Dequeue();
            }

            calling = batch.Count > 0;
        }

        return batch;
    }
}
