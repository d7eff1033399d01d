namespace Sluice.Worker.Batching;

/// <summary>Why a batch took no more.</summary>
public enum BatchCut
{
    /// <summary>Nobody else waited.</summary>
    Drained,

    /// <summary>It has as many rows as the model takes at once.</summary>
    Full,

    /// <summary>The next one has more rows than are left.</summary>
    NextTooLarge,

    /// <summary>Those who wait have tensors of another shape.</summary>
    Shape,

    /// <summary>The model takes one request at a time.</summary>
    Unbatched,
}

/// <summary>A request that waits for a place in a batch.</summary>
/// <param name="Rows">Its share of the batch dimension.</param>
/// <param name="Shape">Equal for requests whose tensors can be stacked.</param>
/// <param name="Priority">1 goes first; larger numbers later.</param>
/// <param name="Due">When it must have begun (ms of a monotonic clock); requests without a limit have one of their own, so that
/// none waits for ever behind those that are in a hurry.</param>
public readonly record struct BatchCandidate(int Rows, int Shape, uint Priority, long Due);

/// <summary>
/// Who goes together. Pure: the order is priority, then who is due first, then who came first; the first one decides the shape, and
/// others of the same shape join as long as they fit. One that does not fit ends the batch: nobody is overtaken because he is larger.
/// </summary>
public static class BatchPlanner
{
    /// <summary>Chooses who joins a batch.</summary>
    /// <param name="waiting">In the order they came.</param>
    /// <param name="openRows">Rows that the batch has already; 0: it is to be begun.</param>
    /// <param name="openShape">Its shape, when it has rows.</param>
    /// <param name="max">Rows that a batch may have. A larger request goes alone.</param>
    /// <param name="taken">Indexes of <paramref name="waiting"/>, in their order in the batch; as long as that.</param>
    /// <returns>How many were taken, and why no more.</returns>
    public static (int Taken, BatchCut Why) Plan(ReadOnlySpan<BatchCandidate> waiting, int openRows, int openShape, int max, Span<int> taken)
    {
        Span<int> order = waiting.Length <= 64 ? stackalloc int[waiting.Length] : new int[waiting.Length];
        Sort(waiting, order);
        var (count, rows, shape) = (0, openRows, openShape);
        var others = false;
        foreach (var i in order)
        {
            if (rows == 0) shape = waiting[i].Shape;
            else if (rows >= max) return (count, max == 1 ? BatchCut.Unbatched : BatchCut.Full);
            if (waiting[i].Shape != shape)
            {
                others = true;
                continue;
            }

            if (rows > 0 && rows + waiting[i].Rows > max) return (count, BatchCut.NextTooLarge);
            taken[count++] = i;
            rows += waiting[i].Rows;
        }

        return (count, rows >= max ? max == 1 ? BatchCut.Unbatched : BatchCut.Full : others ? BatchCut.Shape : BatchCut.Drained);
    }

    /// <summary>By insertion: nearly always they stand in order already.</summary>
    private static void Sort(ReadOnlySpan<BatchCandidate> waiting, Span<int> order)
    {
        for (var i = 0; i < order.Length; i++)
        {
            var at = i;
            for (; at > 0 && Before(waiting[i], waiting[order[at - 1]]); at--) order[at] = order[at - 1];
            order[at] = i;
        }
    }

    private static bool Before(in BatchCandidate a, in BatchCandidate b) =>
        a.Priority != b.Priority ? a.Priority < b.Priority : a.Due < b.Due;
}
