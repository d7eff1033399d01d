using System.Collections.Concurrent;

namespace Sluice.Core.Workers;

/// <summary>
/// Asynchronous work for many items, so many of them under way at a time. It runs on the caller's scheduler: on one that runs one thing at a time only the
/// waits overlap. (<see cref="Parallel"/> would start no more at a time than the scheduler runs.)
/// </summary>
internal static class SideBySide
{
    /// <param name="items">What to work on.</param>
    /// <param name="limit">How many may be under way.</param>
    /// <param name="work">The work. After one that failed no other is begun.</param>
    /// <returns>Ends when all that were begun have ended; fails with the first failure.</returns>
    public static Task ForEachAsync<T>(IEnumerable<T> items, int limit, Func<T, Task> work)
    {
        var left = new ConcurrentQueue<T>(items);
        return Task.WhenAll(Enumerable.Range(0, Math.Min(limit, left.Count)).Select(_ => LaneAsync()));

        async Task LaneAsync()
        {
            while (left.TryDequeue(out var item))
            {
                try
                {
                    await work(item);
                }
                catch
                {
                    left.Clear();
                    throw;
                }
            }
        }
    }
}
