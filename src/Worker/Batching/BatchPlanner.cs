namespace Sluice.Worker.Batching;

/// <summary>A request that waits for a place in a batch.</summary>
/// <param name="Rows">Rows of the batch that the request uses.</param>
/// <param name="Shape">A key that is equal for requests whose tensors can be stacked.</param>
/// <param name="Priority">Priority; 1 is the highest.</param>
/// <param name="Due">
/// Time by which the request should start, in milliseconds of a monotonic clock. A request without a timeout has a
/// default due time, so that requests with short timeouts cannot delay it without limit.
/// </param>
public readonly record struct BatchCandidate(int Rows, int Shape, uint Priority, long Due);

/// <summary>
/// Decides which requests form a batch. Pure. Requests are ordered by priority, then by due time, then by arrival.
/// The first request determines the shape, and requests of the same shape are added while they fit. A request that
/// does not fit ends the batch, so that smaller requests do not overtake a larger one.
/// </summary>
public static class BatchPlanner
{
    /// <summary>Selects the requests to add to a batch.</summary>
    /// <param name="waiting">The waiting requests in order of arrival.</param>
    /// <param name="openRows">Rows of the batch that are in use; 0: the batch is new.</param>
    /// <param name="openShape">Shape of the batch if it is not new.</param>
    /// <param name="max">Maximum number of rows of a batch. A larger request runs alone.</param>
    /// <param name="taken">
    /// Receives indexes into <paramref name="waiting"/>, in the order of the batch; must be at least as long.
    /// </param>
    /// <returns>The number of selected requests, and why no more were selected.</returns>
    public static (int Taken, BatchCut Why) Plan(
        ReadOnlySpan<BatchCandidate> waiting,
        int openRows,
        int openShape,
        int max,
        Span<int> taken)
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

        if (rows >= max) return (count, max == 1 ? BatchCut.Unbatched : BatchCut.Full);
        return (count, others ? BatchCut.Shape : BatchCut.Drained);
    }

    /// <summary>Sorts by insertion, because the requests are nearly always in order already.</summary>
    private static void Sort(ReadOnlySpan<BatchCandidate> waiting, Span<int> order)
    {
        for (var i = 0; i < order.Length; i++)
        {
            var at = i;
            for (; at > 0 && IsBefore(waiting[i], waiting[order[at - 1]]); at--) order[at] = order[at - 1];
            order[at] = i;
        }
    }

    private static bool IsBefore(in BatchCandidate a, in BatchCandidate b) =>
        a.Priority != b.Priority ? a.Priority < b.Priority : a.Due < b.Due;
}
