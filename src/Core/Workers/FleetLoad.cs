using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What the autoscaler decides on, of an endpoint's pods and of what dispatch knows. Pure.</summary>
internal static class FleetLoad
{
    /// <summary>What an endpoint asks of its present workers.</summary>
    /// <param name="template">What its workers are made from.</param>
    /// <param name="current">Workers of the present declaration.</param>
    /// <param name="snapshot">What dispatch knows.</param>
    /// <param name="retries">Whether failed starts may be tried again now: the requests that they refused are demand for one worker.</param>
    /// <param name="now">The time.</param>
    public static Load Of(Template template, IReadOnlyList<Pod> current, EndpointSnapshot snapshot, bool retries, DateTimeOffset now)
    {
        // Low priority orders no workers, but for the one without which it would wait for ever.
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
        // Gateways tell what is busy once a second; what jobs run is known at once.
        var busy = Math.Max(snapshot.Busy, snapshot.JobsRunning);
        return new Load(waiting, snapshot.OldestWait, busy, snapshot.Completed, ready, starting, template.Concurrency)
        {
            Served = snapshot.Served,
            StartingFor = starting > 0 ? startingFor / starting : TimeSpan.Zero,
            LastStart = last?.ReadyAt - last?.StartedAt,
            LastReadyAt = last?.ReadyAt ?? default,
        };
    }

    /// <summary>How long workers were up since the last look, summed; a new leader counts from the look of the one before it.</summary>
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
