using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Fleet;

/// <summary>Computes the autoscaler's input from an endpoint's pods and its dispatch state. Pure.</summary>
internal static class FleetLoad
{
    /// <summary>Returns the load that an endpoint puts on its current workers.</summary>
    /// <param name="template">The template of the workers.</param>
    /// <param name="current">Workers of the current declaration.</param>
    /// <param name="snapshot">The endpoint's dispatch state.</param>
    /// <param name="retries">
    /// Whether the next start after failed ones is due. The requests that were rejected because of the failures then
    /// count as demand for one worker.
    /// </param>
    /// <param name="now">The current time.</param>
    public static LoadSnapshot Compute(
        Template template,
        IReadOnlyList<Pod> current,
        EndpointSnapshot snapshot,
        bool retries,
        DateTimeOffset now)
    {
        // Low-priority requests do not add workers, except for a first one, without which they would wait indefinitely.
        var waiting = snapshot.Queued - snapshot.LowPriority;
        if (waiting == 0 && snapshot.LowPriority > 0 && current.Count == 0) waiting = 1;
        if (waiting == 0 && retries && snapshot.Refused > 0 && current.Count == 0) waiting = 1;
        var ready = 0;
        var startingFor = TimeSpan.Zero;
        Pod? last = null;
        foreach (var pod in current)
            if (pod.State == PodState.Ready)
            {
                ready++;
                if (last is null || pod.ReadyAt > last.ReadyAt) last = pod;
            }
            else
            {
                startingFor += now - pod.StartedAt;
            }

        var starting = current.Count - ready;
        // Gateways report busy slots once a second; the number of running jobs is always current.
        var busy = Math.Max(snapshot.Busy, snapshot.JobsRunning);
        return new LoadSnapshot(waiting, snapshot.OldestWait, busy, snapshot.Completed, ready, starting,
            template.Concurrency)
        {
            Served = snapshot.Served,
            TokensInFlight = snapshot.Workers.Sum(w => w.Tokens),
            TokensWaiting = (long)Math.Round(waiting * snapshot.TokensPerTicket),
            TokensPerWorker = MeanCapacity(snapshot.Workers),
            StartingFor = starting > 0 ? startingFor / starting : TimeSpan.Zero,
            LastStart = last?.ReadyAt - last?.StartedAt,
            LastReadyAt = last?.ReadyAt ?? default,
        };
    }

    /// <summary>Returns the tokens that a worker can hold, on average; 0: no worker reports it.</summary>
    private static long MeanCapacity(IReadOnlyList<WorkerSlots> workers)
    {
        var (sum, count) = (0L, 0);
        foreach (var worker in workers)
            if (worker.Cache is { } cache) (sum, count) = (sum + cache.Tokens, count + 1);
        return count == 0 ? 0 : sum / count;
    }

    /// <summary>
    /// Returns the total time that workers ran since the last round. A new leader continues from the previous leader's
    /// last round.
    /// </summary>
    /// <param name="pods">The endpoint's pods.</param>
    /// <param name="look">The time of the last round; null: there was none.</param>
    /// <param name="now">The current time.</param>
    public static TimeSpan WorkerTime(IReadOnlyList<Pod> pods, DateTimeOffset? look, DateTimeOffset now)
    {
        var sum = TimeSpan.Zero;
        foreach (var pod in pods)
        {
            if (pod.State == PodState.Failed) continue;
            var from = look is { } at && at > pod.StartedAt ? at : pod.StartedAt;
            if (now > from) sum += now - from;
        }

        return sum;
    }
}
