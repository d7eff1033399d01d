namespace Sluice.Core.Redis;

/// <summary>
/// Puts calls that come while one is on its way into the next one: a script that takes many costs Redis little more than one that
/// takes one. A lone call goes at once; nothing waits for a timer. One call at a time (two gave nothing: <c>job-throughput</c>). When it fails all that were in it fail.
/// </summary>
/// <param name="run">Makes one call for many items; a result each, in their order.</param>
/// <param name="size">An item's bytes.</param>
/// <param name="time">The clock of the limit.</param>
internal sealed class Batcher<TItem, TResult>(Func<IReadOnlyList<TItem>, Task<IReadOnlyList<TResult>>> run, Func<TItem, int> size, TimeProvider time)
{
    /// <summary>Items and bytes in one call: Redis does nothing else meanwhile.</summary>
    private const int MaxItems = 100;
    private const int MaxBytes = 1 << 20;

    /// <summary>A call without an answer for this long has failed; its outcome is unknown.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly Lock gate = new();
    private readonly Queue<(TItem Item, TaskCompletionSource<TResult> Done, CancellationToken Given)> waiting = [];
    private bool calling;

    /// <summary>Nothing waits and no call is on its way.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate) return !calling && waiting.Count == 0;
        }
    }

    /// <param name="item">Goes with the next call.</param>
    /// <param name="given">Nobody waits for it any more: it does not go, unless its call is on its way.</param>
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
        while (Take() is { Count: > 0 } batch)
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

            await Turn.AfterOthersAsync();
        }
    }

    private List<(TItem Item, TaskCompletionSource<TResult> Done)> Take()
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
