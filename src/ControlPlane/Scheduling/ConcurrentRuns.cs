using System.Collections.Concurrent;

namespace Sluice.ControlPlane.Scheduling;

/// <summary>
/// Processes many items asynchronously, up to a limit concurrently. The work runs on the caller's scheduler: on one
/// that executes one task at a time, only the waits overlap. (<see cref="Parallel"/> would not start more tasks at a
/// time than the scheduler executes.)
/// </summary>
internal static class ConcurrentRuns
{
    /// <param name="items">The items.</param>
    /// <param name="limit">Largest number of items that are processed concurrently.</param>
    /// <param name="work">The work. After a failure no other item is started.</param>
    /// <returns>Completes when all started items have completed; fails with the first failure.</returns>
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
