using System.Collections.Concurrent;

namespace Sluice.Core.Redis;

/// <summary>A <see cref="Batcher{TItem,TResult}"/> for each key. Those that do nothing are dropped when there are many: keys come and go.</summary>
/// <param name="make">Makes the one of a key.</param>
internal sealed class BatcherSet<TItem, TResult>(Func<string, Batcher<TItem, TResult>> make)
{
    /// <summary>So many may be idle. One is about 200 bytes; a search through them costs 10 us.</summary>
    private const int MostIdle = 256;

    private readonly ConcurrentDictionary<string, Batcher<TItem, TResult>> all = [];
    private int dropAt = MostIdle;

    /// <summary>How many are kept.</summary>
    public int Count => all.Count;

    /// <summary>The one of a key. A caller that holds one which is dropped just now may go on with it.</summary>
    public Batcher<TItem, TResult> For(string key)
    {
        if (all.TryGetValue(key, out var known)) return known;
        if (all.Count >= Volatile.Read(ref dropAt)) DropIdle();
        return all.GetOrAdd(key, make);
    }

    private void DropIdle()
    {
        foreach (var entry in all)
            if (entry.Value.IsIdle) all.TryRemove(entry);
        // Where many are busy, the next search comes after as many new ones.
        Volatile.Write(ref dropAt, all.Count + MostIdle);
    }
}
