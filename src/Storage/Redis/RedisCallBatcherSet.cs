using System.Collections.Concurrent;

namespace Sluice.Storage.Redis;

/// <summary>
/// Keeps one <see cref="RedisCallBatcher{TItem,TResult}"/> per key, and drops idle ones when there are many, because
/// keys are created and deleted.
/// </summary>
/// <param name="make">Creates the batcher of a key.</param>
internal sealed class RedisCallBatcherSet<TItem, TResult>(Func<string, RedisCallBatcher<TItem, TResult>> make)
{
    /// <summary>
    /// The number of idle batchers to keep. A batcher is about 200 bytes; a search through them takes 10 us.
    /// </summary>
    private const int MostIdle = 256;

    private readonly ConcurrentDictionary<string, RedisCallBatcher<TItem, TResult>> all = [];
    private int dropAt = MostIdle;

    /// <summary>The number of batchers.</summary>
    public int Count => all.Count;

    /// <summary>
    /// Returns the batcher of a key. A caller may continue to use a batcher that is dropped in the meantime.
    /// </summary>
    public RedisCallBatcher<TItem, TResult> For(string key)
    {
        if (all.TryGetValue(key, out var known)) return known;
        if (all.Count >= Volatile.Read(ref dropAt)) DropIdle();
        return all.GetOrAdd(key, make);
    }

    private void DropIdle()
    {
        foreach (var entry in all)
            if (entry.Value.IsIdle) all.TryRemove(entry);
        // When many batchers are busy, search again only after the same number of new ones.
        Volatile.Write(ref dropAt, all.Count + MostIdle);
    }
}
