using System.Buffers;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>A binary heap of possible merges, ordered by rank and then by position.</summary>
/// <param name="capacity">Number of entries that it can hold at the start.</param>
internal sealed class MergeHeap(int capacity) : IDisposable
{
    private ulong[] keys = ArrayPool<ulong>.Shared.Rent(capacity);
    private int[] values = ArrayPool<int>.Shared.Rent(capacity);
    private int count;

    /// <summary>Adds an entry.</summary>
    public void Push(int rank, int position, int merged)
    {
        if (count == Math.Min(keys.Length, values.Length)) Grow();
        var key = ((ulong)(uint)rank << 32) | (uint)position;
        var i = count++;
        while (i > 0)
        {
            var parent = (i - 1) / 2;
            if (keys[parent] <= key) break;
            (keys[i], values[i]) = (keys[parent], values[parent]);
            i = parent;
        }

        (keys[i], values[i]) = (key, merged);
    }

    /// <summary>Removes the entry with the lowest rank. Returns false if there is none.</summary>
    public bool TryPop(out int position, out int merged)
    {
        (position, merged) = (0, 0);
        if (count == 0) return false;
        (position, merged) = ((int)(uint)keys[0], values[0]);
        var (key, value) = (keys[--count], values[count]);
        var i = 0;
        while (true)
        {
            var child = 2 * i + 1;
            if (child >= count) break;
            if (child + 1 < count && keys[child + 1] < keys[child]) child++;
            if (keys[child] >= key) break;
            (keys[i], values[i]) = (keys[child], values[child]);
            i = child;
        }

        (keys[i], values[i]) = (key, value);
        return true;
    }

    public void Dispose()
    {
        ArrayPool<ulong>.Shared.Return(keys);
        ArrayPool<int>.Shared.Return(values);
    }

    private void Grow()
    {
        var (oldKeys, oldValues) = (keys, values);
        keys = ArrayPool<ulong>.Shared.Rent(count * 2);
        values = ArrayPool<int>.Shared.Rent(count * 2);
        oldKeys.AsSpan(0, count).CopyTo(keys);
        oldValues.AsSpan(0, count).CopyTo(values);
        ArrayPool<ulong>.Shared.Return(oldKeys);
        ArrayPool<int>.Shared.Return(oldValues);
    }
}
