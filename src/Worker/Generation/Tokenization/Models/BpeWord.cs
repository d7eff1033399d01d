using System.Buffers;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>
/// Merges the symbols of one word: always the pair with the lowest rank, and of equal pairs the leftmost. Short words
/// search the pairs; long words use a heap, so that the time is n log n for n symbols.
/// </summary>
internal static class BpeWord
{
    private const int ShortWord = 48;

    /// <summary>Merges symbols in place. Returns how many are left.</summary>
    public static int Merge(Span<int> symbols, MergeTable merges) => symbols.Length switch
    {
        < 2 => symbols.Length,
        <= ShortWord => MergeShort(symbols, merges),
        _ => MergeLong(symbols, merges),
    };

    private static int MergeShort(Span<int> symbols, MergeTable merges)
    {
        var count = symbols.Length;
        Span<int> ranks = stackalloc int[ShortWord];
        Span<int> merged = stackalloc int[ShortWord];
        for (var i = 0; i + 1 < count; i++) (ranks[i], merged[i]) = Rank(symbols, i, merges);
        while (true)
        {
            var best = -1;
            var lowest = int.MaxValue;
            for (var i = 0; i + 1 < count; i++)
                if (ranks[i] < lowest) (best, lowest) = (i, ranks[i]);
            if (best < 0) return count;
            symbols[best] = merged[best];
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            ranks[(best + 2)..count].CopyTo(ranks[(best + 1)..]);
            merged[(best + 2)..count].CopyTo(merged[(best + 1)..]);
            count--;
            if (best > 0) (ranks[best - 1], merged[best - 1]) = Rank(symbols, best - 1, merges);
            if (best + 1 < count) (ranks[best], merged[best]) = Rank(symbols, best, merges);
        }
    }

    private static (int Rank, int Merged) Rank(Span<int> symbols, int at, MergeTable merges)
    {
        var (rank, merged) = merges.Find(symbols[at], symbols[at + 1]);
        return rank < 0 ? (int.MaxValue, -1) : (rank, merged);
    }

    private static int MergeLong(Span<int> symbols, MergeTable merges)
    {
        var count = symbols.Length;
        var links = ArrayPool<int>.Shared.Rent(2 * count);
        var heap = new MergeHeap(3 * count);
        try
        {
            var next = links.AsSpan(0, count);
            var previous = links.AsSpan(count, count);
            for (var i = 0; i < count; i++)
            {
                (next[i], previous[i]) = (i + 1 < count ? i + 1 : -1, i - 1);
                if (i + 1 < count) Push(heap, symbols, i, i + 1, merges);
            }

            while (heap.TryPop(out var at, out var replaced))
            {
                var right = symbols[at] < 0 ? -1 : next[at];
                // The entry is out of date if one of its symbols was merged since, into another token.
                if (right < 0 || merges.Find(symbols[at], symbols[right]).Merged != replaced) continue;
                symbols[at] = replaced;
                symbols[right] = -1;
                next[at] = next[right];
                if (next[at] >= 0) previous[next[at]] = at;
                if (previous[at] >= 0) Push(heap, symbols, previous[at], at, merges);
                if (next[at] >= 0) Push(heap, symbols, at, next[at], merges);
            }

            var left = 0;
            for (var i = 0; i >= 0; i = next[i]) symbols[left++] = symbols[i];
            return left;
        }
        finally
        {
            ArrayPool<int>.Shared.Return(links);
            heap.Dispose();
        }
    }

    private static void Push(MergeHeap heap, Span<int> symbols, int left, int right, MergeTable merges)
    {
        var (rank, merged) = merges.Find(symbols[left], symbols[right]);
        if (rank >= 0) heap.Push(rank, left, merged);
    }
}
